//! Which characters a text that people read may have: names, labels, references.
//!
//! A leading `=`, `+`, `-` or `@` is stored as given, since labels are often the number itself. An export to a spreadsheet has to
//! escape them.

use std::ops::RangeInclusive;

/// Characters that no text may contain. Controls (category `Cc`): Postgres cannot store a NUL, and no name has a line break. Line
/// and paragraph separators (`Zl`, `Zp`). Explicit directional embeddings, overrides and isolates (`Bidi_Control` in Unicode's
/// `PropList.txt`, without the three marks that Arabic and Hebrew names use): they change the order of the text around them.
pub const FORBIDDEN: &[RangeInclusive<char>] = &['\u{0}'..='\u{1f}', '\u{7f}'..='\u{9f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

/// Characters that show nothing by themselves: `White_Space` in Unicode 16's `PropList.txt`, `Default_Ignorable_Code_Point` in its
/// `DerivedCoreProperties.txt`, and the blank Braille pattern. A text may contain them beside others.
pub const INVISIBLE: &[RangeInclusive<char>] = &[
    '\u{9}'..='\u{d}',
    ' '..=' ',
    '\u{85}'..='\u{85}',
    '\u{a0}'..='\u{a0}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{1680}'..='\u{1680}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2000}'..='\u{200f}',
    '\u{2028}'..='\u{202f}',
    '\u{205f}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3000}'..='\u{3000}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// What is wrong with a text: the end of a sentence that begins with its name. None if nothing is.
#[must_use]
pub fn fault(text: &str) -> Option<&'static str> {
    if text.chars().any(|character| is_in(FORBIDDEN, character)) {
        return Some("must not contain control characters, line breaks or characters that change the direction of text");
    }
    text.chars().all(|character| is_in(INVISIBLE, character)).then_some("must contain a visible character")
}

/// The regular expression (ECMA-262) of texts without a [`fault`].
#[cfg(feature = "schema")]
#[must_use]
pub fn pattern() -> String {
    let class =
        |ranges: &[RangeInclusive<char>]| -> String { ranges.iter().flat_map(|range| [*range.start(), '-', *range.end()]).collect() };
    let (forbidden, invisible) = (class(FORBIDDEN), class(INVISIBLE));
    format!("^[^{forbidden}]*[^{forbidden}{invisible}][^{forbidden}]*$")
}

fn is_in(ranges: &[RangeInclusive<char>], character: char) -> bool {
    ranges.iter().any(|range| range.contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_any_script_is_a_text() {
        for text in [
            "Empfang – Büro",
            "受付",
            "الاستقبال",
            "\u{200f}קבלה\u{200f} 3",
            "نامه\u{200c}ها",
            "👩🏽\u{200d}💻 desk",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "❤\u{fe0f}",
            " x ",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_may_begin_like_a_formula() {
        for text in ["=1+1", "+1 312 555 0123", "-1", "@desk"] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn text_of_nothing_visible_is_none() {
        for text in ["", " ", "\u{200b}", "\u{feff}", "\u{3164}\u{a0}", "\u{2800}", "\u{ad}", "\u{fe0f}\u{200d}", "\u{e0041}"] {
            assert_eq!(fault(text), Some("must contain a visible character"), "{text:?}");
        }
    }

    #[test]
    fn text_that_reorders_or_breaks_what_is_around_it_is_none() {
        let forbidden = (0x202a..=0x202e).chain(0x2066..=0x2069).chain([0, 9, 10, 13, 0x1b, 0x7f, 0x85, 0x2028, 0x2029]);
        for character in forbidden.filter_map(char::from_u32) {
            assert!(fault(&format!("a{character}b")).is_some_and(|fault| fault.starts_with("must not contain")), "{character:?}");
        }
    }

    #[test]
    fn what_rust_calls_a_space_or_a_control_is_one_here() {
        for character in '\0'..=char::MAX {
            assert!(!character.is_control() || is_in(FORBIDDEN, character), "{character:?}");
            assert!(!character.is_whitespace() || is_in(INVISIBLE, character), "{character:?}");
        }
    }
}
