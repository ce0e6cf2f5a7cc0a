//! Telnyx's ids: opaque text that is stored, compared and put into paths.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Failure;

/// The width of the column `agency_phone_numbers.phone_number_id`.
const LONGEST_ID: usize = 255;
/// What is percent-encoded in a path: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the text if it can be an id: 1 to 255 characters, no control characters, not only blanks, and neither `.` nor
/// `..`, which URLs resolve. A call that needs an id is not sent with any other text, since it would address something else.
///
/// ```
/// use shared::telnyx::usable_id;
///
/// assert_eq!(usable_id("2919154318467303471"), Some("2919154318467303471"));
/// assert_eq!(usable_id(".."), None);
/// ```
#[must_use]
pub fn usable_id(text: &str) -> Option<&str> {
    let usable = !matches!(text.trim(), "" | "." | "..") && is_clean(text, LONGEST_ID);
    usable.then_some(text)
}

/// Returns an id for a query.
///
/// # Errors
/// [`Failure::NotSent`] if the text is not a usable id.
pub(super) fn refuse_unusable_id(text: &str) -> Result<&str, Failure> {
    usable_id(text).ok_or_else(|| Failure::NotSent("the stored text is not a usable Telnyx id".into()))
}

/// Whether text has at most `longest` characters and no control character. Postgres stores no NUL.
pub(super) fn is_clean(text: &str, longest: usize) -> bool {
    text.chars().nth(longest).is_none() && !text.contains(char::is_control)
}

/// Whether text consists of 1 to `longest` ASCII letters, digits and hyphens, like Telnyx's ids and codes. No other text of
/// Telnyx's is logged.
pub(super) fn is_plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A path below the base URL, with at most one id in it.
pub(super) struct Path {
    template: &'static str,
    id: Option<String>,
}

impl Path {
    /// A path without an id.
    pub(super) const fn to(template: &'static str) -> Self {
        Self { template, id: None }
    }

    /// A path with an id where `template` has `{id}`.
    ///
    /// # Errors
    /// [`Failure::NotSent`] if the text is not a usable id.
    pub(super) fn with_id(template: &'static str, id: &str) -> Result<Self, Failure> {
        refuse_unusable_id(id).map(|id| Self { template, id: Some(id.to_owned()) })
    }

    /// The path as it is sent, with the id percent-encoded.
    pub(super) fn encoded(&self) -> String {
        let Some(id) = &self.id else { return self.template.to_owned() };
        self.template.replace("{id}", &utf8_percent_encode(id, RESERVED).to_string())
    }

    /// The path as it is logged, without the id.
    pub(super) const fn template(&self) -> &'static str {
        self.template
    }

    /// The id as it is logged; `None` if it does not look like one of Telnyx's.
    pub(super) fn plain_id(&self) -> Option<&str> {
        /// Longer than a UUID.
        const LONGEST_PLAIN_ID: usize = 40;
        self.id.as_deref().filter(|id| is_plain(id, LONGEST_PLAIN_ID))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_url_resolves_away_or_a_column_cannot_hold_is_no_id() {
        let (longest, too_long) = ("é".repeat(255), "1".repeat(256));
        for good in ["2919154318467303471", "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55", "...", "a b", "../x", "%2e%2e", longest.as_str()] {
            assert_eq!(usable_id(good), Some(good));
        }
        for bad in ["", " ", ".", "..", " .. ", "a\0", "\n", "\u{7f}", "\u{9b}", too_long.as_str()] {
            assert_eq!(usable_id(bad), None, "{bad:?}");
            assert!(Path::with_id("/phone_numbers/{id}", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        let ids = [
            ("2919", "/phone_numbers/2919"),
            ("../number_orders?x=1#y", "/phone_numbers/..%2Fnumber_orders%3Fx%3D1%23y"),
            (".%2e", "/phone_numbers/.%252e"),
            ("a b+c", "/phone_numbers/a%20b%2Bc"),
            ("{id}", "/phone_numbers/%7Bid%7D"),
            ("é\\", "/phone_numbers/%C3%A9%5C"),
        ];
        for (id, encoded) in ids {
            let path = Path::with_id("/phone_numbers/{id}", id).unwrap();
            assert_eq!(path.encoded(), encoded);
            let url = url::Url::parse(&format!("https://api.example.com/v2{encoded}")).unwrap();
            assert_eq!(url.path(), format!("/v2{encoded}"), "no parser changes it");
        }
    }

    proptest! {
        #[test]
        fn any_usable_id_is_one_segment_of_its_path_and_can_be_decoded(id in any::<String>()) {
            let Ok(path) = Path::with_id("/phone_numbers/{id}/x", &id) else {
                prop_assert_eq!(usable_id(&id), None);
                return Ok(());
            };
            let url = url::Url::parse(&format!("https://api.example.com{}", path.encoded())).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!((segments.len(), segments[0], segments[2], url.query(), url.fragment()), (3, "phone_numbers", "x", None, None));
            prop_assert_eq!(percent_decode_str(segments[1]).decode_utf8().unwrap(), id);
        }
    }

    #[test]
    fn only_an_id_that_looks_like_one_is_logged() {
        let logged = |id: &str| Path::with_id("/phone_numbers/{id}", id).unwrap().plain_id().map(str::to_owned);
        assert_eq!(logged("2919154318467303471"), Some("2919154318467303471".to_owned()));
        for other in ["a b", "<script>", "é", &"1".repeat(41)] {
            assert_eq!(logged(other), None, "{other}");
        }
    }
}
