//! Countries: ISO 3166-1 alpha-2.

use std::str::FromStr;

use super::Written;

/// The officially assigned codes of ISO 3166-1. Codes that are reserved (`EU`, `UK`) or left to users (`XK`, `XX`) are none.
pub const COUNTRIES: &[&str] = &[
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB", "BD", "BE", "BF", "BG",
    "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI",
    "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH",
    "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ",
    "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT",
    "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS",
    "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU",
    "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG",
    "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG",
    "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK",
    "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU",
    "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

/// A country: ISO 3166-1 alpha-2, in capitals. Small letters are read as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryCode(&'static str);

impl FromStr for CountryCode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = COUNTRIES.iter().find(|code| code.eq_ignore_ascii_case(text));
        found.map(|code| Self(code)).ok_or("must be a country in two letters, such as US (ISO 3166-1)")
    }
}

impl Written for CountryCode {
    #[cfg(feature = "schema")]
    fn schema() -> serde_json::Value {
        let either = |letter: char| format!("{letter}{}", letter.to_ascii_lowercase());
        let first = ('A'..='Z').filter_map(|first| {
            let second: String =
                COUNTRIES.iter().filter(|code| code.starts_with(first)).filter_map(|code| code.chars().nth(1)).map(either).collect();
            (!second.is_empty()).then(|| format!("[{}][{second}]", either(first)))
        });
        serde_json::json!({"type": "string", "pattern": format!("^({})$", first.collect::<Vec<_>>().join("|"))})
    }
}

impl From<CountryCode> for String {
    fn from(code: CountryCode) -> Self {
        code.0.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assigned_codes_are_two_hundred_and_forty_nine() {
        assert_eq!(COUNTRIES.len(), 249);
        assert!(COUNTRIES.is_sorted() && COUNTRIES.iter().all(|code| code.len() == 2));
    }

    #[test]
    fn a_country_is_read_in_capitals_and_in_small_letters() {
        for text in ["GB", "gb", "Gb"] {
            assert_eq!(text.parse::<CountryCode>().map(String::from), Ok("GB".to_owned()));
        }
    }

    #[test]
    fn what_is_assigned_to_no_country_is_none() {
        for text in ["", "U", "USA", "XX", "UK", "EU", "XK", "AA", "ZZ", "840", "ÜS", "US "] {
            assert!(text.parse::<CountryCode>().is_err(), "{text}");
        }
    }
}
