//! The world's numbering plans, as far as Telnyx asks about numbers in their terms: a country and national digits.
//!
//! The plans are those of libphonenumber, as the `rlibphonenumber` crate keeps them. Of the crates that do, it is the one
//! that does not compile every country's patterns before the first number is read.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType, Region, get_national_significant_number_owned};

use crate::model::E164;

/// A number as its numbering plan sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The countries it may belong to, the likeliest first, ISO 3166-1 alpha-2. A calling code that countries share, such as
    /// +1, has all of them: a toll-free number belongs to each.
    pub countries: Vec<String>,
    /// Its digits without the calling code.
    pub national_digits: String,
}

/// A number's plan; None where no country has its calling code.
#[must_use]
pub fn plan(number: &E164) -> Option<Plan> {
    let parsed = parse(number)?;
    let likeliest = PHONE_NUMBER_UTIL.get_region_for_number(&parsed);
    let all = PHONE_NUMBER_UTIL.get_regions_for_country_calling_code(parsed.country_code).into_iter().flatten();
    let mut countries: Vec<String> = Vec::new();
    // Calling codes of no country, such as +800, are filed under the world.
    for country in likeliest.into_iter().chain(all).filter(|region| *region != Region::World).map(|region| region.to_string()) {
        if !countries.contains(&country) {
            countries.push(country);
        }
    }
    (!countries.is_empty()).then(|| Plan { countries, national_digits: get_national_significant_number_owned(&parsed) })
}

/// `local`, `toll_free`, `mobile`, `national` or `shared_cost`, where the numbering plan tells.
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
    fn every_country_of_a_shared_calling_code_is_there_once() {
        let countries = planned("+18005550123").countries;
        for country in ["US", "CA", "PR", "JM", "DO"] {
            assert_eq!(countries.iter().filter(|known| *known == country).count(), 1, "{country}");
        }
    }

    #[test]
    fn a_calling_code_of_no_country_has_no_plan() {
        assert_eq!(plan(&"+99912345678".parse().unwrap()), None);
        assert_eq!(plan(&"+80012345678".parse().unwrap()), None);
    }
}
