//! Phone numbers as people write them.

/// What separates the digits of a number in writing: spaces, hyphens and dashes, full stops, slashes and brackets.
const SEPARATORS: &[char] = &[
    ' ', '\u{a0}', '\u{2007}', '\u{2009}', '\u{202f}', '-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2212}', '.', '\u{b7}', '/',
    '(', ')',
];

/// The digits of a number, or of a part of one, with the `+` that they begin with if there is one; None if the text is none. Reads
/// `(312) 555-0123`, `312.555.0123`, `tel:+1-312-555-0123;ext=7` (RFC 3966) and `+44 (0)20 7183 8750`.
///
/// ```
/// use shared::model::digits_of_written_number;
///
/// assert_eq!(digits_of_written_number("tel:+1-312-555-0123").as_deref(), Some("+13125550123"));
/// assert_eq!(digits_of_written_number("Front desk 2"), None);
/// ```
#[must_use]
pub fn digits_of_written_number(text: &str) -> Option<String> {
    let text = text.trim();
    let subscriber = match text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")) {
        Some(_) => text[4..].split(';').next().unwrap_or_default(),
        None => text,
    };
    let (plus, national) = match subscriber.strip_prefix('+') {
        // The zero in brackets is dialled within the country only.
        Some(rest) => ("+", rest.replacen("(0)", "", 1)),
        None => ("", subscriber.to_owned()),
    };
    let digits: String = national.chars().filter(|character| !SEPARATORS.contains(character)).collect();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("{plus}{digits}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for (text, digits) in [
            ("(312) 555-0123", "3125550123"),
            ("312.555.0123", "3125550123"),
            ("312\u{a0}555\u{202f}0123", "3125550123"),
            ("312–555−0123", "3125550123"),
            ("+1 (312) 555-0123", "+13125550123"),
            ("tel:+1-312-555-0123", "+13125550123"),
            ("TEL:+13125550123;ext=7", "+13125550123"),
            ("tel:555-0123;phone-context=+1312", "5550123"),
            ("+44 (0)20 7183 8750", "+442071838750"),
            ("+49/30/1234567", "+49301234567"),
            ("0123", "0123"),
            (" 555 ", "555"),
        ] {
            assert_eq!(digits_of_written_number(text).as_deref(), Some(digits), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", " ", "-", "+", "tel:", "desk 7", "100%", "1_2", "312+555", "++1", "٣١٢", "1,2", "tel", "ä312"] {
            assert_eq!(digits_of_written_number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn separators_anywhere_change_nothing(digits in "[0-9]{1,15}", plus: bool, at in proptest::collection::vec((any::<proptest::sample::Index>(), proptest::sample::select(SEPARATORS)), 0..6)) {
            let plain = format!("{}{digits}", if plus { "+" } else { "" });
            let mut written: Vec<char> = plain.chars().collect();
            for (index, separator) in at {
                let first = usize::from(plus);
                written.insert(first + index.index(written.len() - first + 1), separator);
            }
            let written: String = written.into_iter().collect();
            prop_assume!(!plus || !written.contains("(0)"));
            prop_assert_eq!(digits_of_written_number(&written), Some(plain));
        }

        #[test]
        fn any_text_is_digits_or_none(text in any::<String>()) {
            if let Some(digits) = digits_of_written_number(&text) {
                let digits = digits.strip_prefix('+').unwrap_or(&digits);
                prop_assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
