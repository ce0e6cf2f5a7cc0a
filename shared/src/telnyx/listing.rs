//! Listings: reading a page, and searching through all pages without mistaking the unreadable for the absent.

use super::ids::Path;
use super::json::{Json, List, Object};
use super::transport::Request;
use super::{Failure, Session};

/// The largest page that Telnyx allows, in items.
pub(super) const LARGEST_PAGE: &str = "250";
/// The longest listing that is searched, in pages: 10,000 items.
const MOST_SEARCHED_PAGES: u32 = 40;
/// More pages than any account has: 25 million items. A larger count is ignored.
const MOST_PAGES: u32 = 100_000;

/// One page of a listing, without the items that could not be read.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Whether no page follows. Without a readable count of pages, only an empty page is the last one.
    pub(super) is_last: bool,
    /// Whether there are no items at all, not even unreadable ones.
    pub(super) is_empty: bool,
    /// How many pages there are, if Telnyx tells.
    pub(super) total_pages: Option<u32>,
}

/// The result of comparing an item of a listing with what is wanted.
pub(super) enum Compared<T> {
    /// The item is wanted.
    Match(T),
    /// The item is certainly something else.
    Other,
    /// The item may be wanted: a member that decides it cannot be read.
    Unclear,
}

/// How far a listing is searched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Up to the first page with a match.
    FirstMatch,
    /// To its end.
    Everything,
}

/// The result of searching a listing.
pub(super) struct Found<T> {
    pub(super) matches: Vec<T>,
    /// How many items may match, but cannot be read.
    pub(super) unclear: usize,
}

impl Session<'_> {
    /// Searches a listing page by page. Returns no match only if every item of every page is certainly something else.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::Unknown`] if nothing matches and an item that may match cannot be read, or if the listing
    /// does not end.
    pub(super) async fn look_through<T>(
        &self,
        path: &'static str,
        filter: (&'static str, String),
        extent: Extent,
        compare: impl Fn(Json<'_>) -> Compared<T>,
    ) -> Result<Found<T>, Failure> {
        let mut found = Found { matches: Vec::new(), unclear: 0 };
        for number in 1..=MOST_SEARCHED_PAGES {
            let query = [filter.clone(), ("page[size]", LARGEST_PAGE.to_owned()), ("page[number]", number.to_string())];
            let response = self.transport.read(self, &Request::get(Path::to(path), &query)).await?;
            let page = response.parse(|document| page(document, number, |item| Some(compare(item))))?;
            for item in page.items {
                match item {
                    Compared::Match(matching) => found.matches.push(matching),
                    Compared::Other => {}
                    Compared::Unclear => found.unclear += 1,
                }
            }
            let is_over = page.is_last || extent == Extent::FirstMatch;
            if is_over && !found.matches.is_empty() {
                return Ok(found);
            }
            if is_over && found.unclear > 0 {
                return Err(Failure::Unknown(format!("{} items of {path} may match but cannot be read", found.unclear).into()));
            }
            if page.is_last {
                return Ok(found);
            }
        }
        Err(Failure::Unknown(format!("{path} has more than {MOST_SEARCHED_PAGES} pages").into()))
    }
}

/// Reads the page `number` of a listing, from 1.
///
/// Returns `None` if there is no list, or if the first page is empty although the listing counts items: that does not prove
/// absence.
pub(super) fn page<'a, T>(document: &Object<'a>, number: u32, read: impl Fn(Json<'a>) -> Option<T>) -> Option<Page<T>> {
    let List { items, unreadable } = document.list("data", usize::MAX, read).known()?;
    let meta = document.get("meta", Json::object);
    let count = |name| meta.as_ref().and_then(|meta| meta.get(name, Json::count));
    let is_empty = items.is_empty() && unreadable == 0;
    if is_empty && number == 1 && count("total_results").is_some_and(|total| total > 0) {
        return None;
    }
    let total_pages = count("total_pages").filter(|pages| (1..=MOST_PAGES).contains(pages));
    let is_last = is_empty || total_pages.is_some_and(|pages| number >= pages);
    Some(Page { items, is_last, is_empty, total_pages })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::super::json::Unread;
    use super::*;

    #[test]
    fn a_listing_ends_where_its_count_of_pages_or_an_empty_page_says_so() {
        let full = json!([1]);
        let cases = [
            (json!({"data": full, "meta": {"total_pages": 2}}), 1, Some(false)),
            (json!({"data": full, "meta": {"total_pages": "2"}}), 2, Some(true)),
            (json!({"data": full, "meta": {"total_pages": 1e300}}), 7, Some(false)),
            (json!({"data": full, "meta": {"total_pages": -1}}), 7, Some(false)),
            (json!({"data": full, "meta": {"total_pages": 0}}), 1, Some(false)),
            (json!({"data": full}), 1, Some(false)),
            (json!({"data": [], "meta": {"total_pages": 9}}), 2, Some(true)),
            (json!({"data": []}), 1, Some(true)),
            (json!({"data": [], "meta": {"total_results": 3}}), 1, None),
            (json!({"data": [], "meta": {"total_results": 3}}), 2, Some(true)),
            (json!({"data": {}}), 1, None),
            (json!({"data": null}), 1, None),
            (json!({"meta": {"total_pages": 1}}), 1, None),
        ];
        for (document, number, is_last) in cases {
            let (text, unread) = (document.to_string(), Unread::default());
            let page = page(&Object::parse(&text, &unread).unwrap(), number, Json::count);
            assert_eq!(page.map(|page| page.is_last), is_last, "{document}");
        }
    }
}
