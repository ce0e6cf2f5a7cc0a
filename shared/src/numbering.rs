//! The numbering plans of countries, as far as searches at Telnyx need them: a country and national digits.
//!
//! The plans are those of libphonenumber, from the crate `rlibphonenumber`. Other such crates compile the patterns of every
//! country before they read the first number.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType, Region, get_national_significant_number_owned};

use crate::model::E164;

/// A number is searched for in at most this many countries.
const MOST_COUNTRIES: usize = 4;
/// The calling code of 25 countries. Telnyx offers its numbers in the country of the area code, or in one of these two.
const NORTH_AMERICA: i32 = 1;
const NORTH_AMERICAN_MARKETS: [&str; 2] = ["US", "CA"];

/// What the numbering plan says of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One to four countries that it may be offered in, ISO 3166-1 alpha-2: the country that the plan names, then the others
    /// that share the calling code, or for +1 the United States and Canada.
    pub countries: Vec<String>,
    /// Its digits without the calling code.
    pub national_digits: String,
}

/// The plan of a number; None if no country has its calling code.
#[must_use]
pub fn plan(number: &E164) -> Option<Plan> {
    let parsed = parse(number)?;
    // Calling codes of no country, such as +800, are filed under the world.
    let country = |region: Region| (region != Region::World).then(|| region.to_string());
    let named = PHONE_NUMBER_UTIL.get_region_for_number(&parsed).and_then(country);
    let others: Vec<String> = if parsed.country_code == NORTH_AMERICA {
        NORTH_AMERICAN_MARKETS.map(str::to_owned).into()
    } else {
        PHONE_NUMBER_UTIL.get_regions_for_country_calling_code(parsed.country_code).into_iter().flatten().filter_map(country).collect()
    };
    let mut countries: Vec<String> = Vec::new();
    for country in named.into_iter().chain(others) {
        if !countries.contains(&country) {
            countries.push(country);
        }
    }
    countries.truncate(MOST_COUNTRIES);
    (!countries.is_empty()).then(|| Plan { countries, national_digits: get_national_significant_number_owned(&parsed) })
}

/// `local`, `toll_free`, `mobile`, `national` or `shared_cost`; None if the numbering plan does not say.
#[must_use]
pub fn number_type(number: &E164) -> Option<&'static str> {
    match PHONE_NUMBER_UTIL.get_number_type(&parse(number)?) {
        PhoneNumberType::FixedLine | PhoneNumberType::FixedLineOrMobile => Some("local"),
        PhoneNumberType::Mobile => Some("mobile"),
        PhoneNumberType::TollFree => Some("toll_free"),
        PhoneNumberType::SharedCost => Some("shared_cost"),
        PhoneNumberType::UAN | PhoneNumberType::VoIP => Some("national"),
        _ => None,
    }
}

fn parse(number: &E164) -> Option<PhoneNumber> {
    PHONE_NUMBER_UTIL.parse(number.as_str(), None).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn planned(number: &str) -> Plan {
        plan(&number.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_number_has_a_country_and_national_digits() {
        let chicago = planned("+13125550123");
        assert_eq!((chicago.countries[0].as_str(), chicago.national_digits.as_str()), ("US", "3125550123"));
        let london = planned("+442071838750");
        assert_eq!((london.countries[0].as_str(), london.national_digits.as_str()), ("GB", "2071838750"));
        assert_eq!(planned("+14165550123").countries[0], "CA");
    }

    #[test]
    fn a_number_has_a_type_where_its_plan_tells() {
        let types = [("+13125550123", "local"), ("+442071838750", "local"), ("+18005550123", "toll_free"), ("+447400123456", "mobile")];
        for (number, expected) in types {
            assert_eq!(number_type(&number.parse().unwrap()), Some(expected), "{number}");
        }
        assert_eq!(number_type(&"+99912345678".parse().unwrap()), None);
    }

    #[test]
    fn a_leading_zero_that_belongs_to_the_number_stays() {
        assert_eq!(planned("+390236618300").national_digits, "0236618300");
    }

    #[test]
    fn a_number_may_be_offered_in_its_own_country_and_then_in_those_that_share_its_calling_code() {
        let plans: [(&str, &[&str]); 8] = [
            ("+13125550123", &["US", "CA"]),
            ("+14165550123", &["CA", "US"]),
            ("+17875550123", &["PR", "US", "CA"]),
            ("+18005550123", &["US", "CA"]),
            ("+442071838750", &["GB", "GG", "IM", "JE"]),
            ("+447400123456", &["GB", "GG", "IM", "JE"]),
            ("+441534123456", &["JE", "GB", "GG", "IM"]),
            ("+33123456789", &["FR"]),
        ];
        for (number, countries) in plans {
            assert_eq!(planned(number).countries, countries, "{number}");
        }
    }

    #[test]
    fn no_number_may_be_offered_in_more_than_four_countries() {
        // The calling codes that several countries share.
        for code in [1, 7, 39, 44, 47, 61, 212, 262, 290, 358, 590, 599] {
            let plan = planned(&format!("+{code}612345678"));
            assert!((2..=4).contains(&plan.countries.len()), "{plan:?}");
        }
    }

    #[test]
    fn a_calling_code_of_no_country_has_no_plan() {
        assert_eq!(plan(&"+99912345678".parse().unwrap()), None);
        assert_eq!(plan(&"+80012345678".parse().unwrap()), None);
    }
}
