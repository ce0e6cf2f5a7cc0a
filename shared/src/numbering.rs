//! The world's numbering plans, as far as Telnyx asks about numbers in their terms: a country and national digits.
//!
//! The plans are those of libphonenumber, kept by the `phonenumber` crate.

use phonenumber::metadata::DATABASE;
use phonenumber::{PhoneNumber, Type};

use crate::model::E164;

/// A number as its numbering plan sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The countries it may belong to, the likeliest first, ISO 3166-1 alpha-2. A calling code that countries share, such as
    /// +1, has all of them: a toll-free number belongs to each.
    pub countries: Vec<String>,
    /// Its digits without the calling code.
    pub national_digits: String,
    /// `local`, `toll_free`, `mobile`, `national` or `shared_cost`, where the plan tells.
    pub number_type: Option<&'static str>,
}

/// A number's plan; None where no country has its calling code.
#[must_use]
pub fn plan(number: &E164) -> Option<Plan> {
    let parsed = phonenumber::parse(None, number.as_str()).ok()?;
    let likeliest = parsed.country().id().map(|id| id.as_ref().to_owned());
    let mut countries: Vec<_> = likeliest.into_iter().collect();
    for metadata in DATABASE.by_code(&parsed.code().value()).unwrap_or_default() {
        // Calling codes of no country, such as +800, are filed under 001.
        if metadata.id() != "001" && !countries.iter().any(|known| known == metadata.id()) {
            countries.push(metadata.id().to_owned());
        }
    }
    (!countries.is_empty()).then(|| Plan { countries, national_digits: parsed.national().to_string(), number_type: number_type(&parsed) })
}

fn number_type(number: &PhoneNumber) -> Option<&'static str> {
    match number.number_type(&DATABASE) {
        Type::FixedLine | Type::FixedLineOrMobile => Some("local"),
        Type::Mobile => Some("mobile"),
        Type::TollFree => Some("toll_free"),
        Type::SharedCost => Some("shared_cost"),
        Type::Uan | Type::Voip => Some("national"),
        _ => None,
    }
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
        assert_eq!(
            (chicago.countries[0].as_str(), chicago.national_digits.as_str(), chicago.number_type),
            ("US", "3125550123", Some("local"))
        );
        let london = planned("+442071838750");
        assert_eq!(
            (london.countries[0].as_str(), london.national_digits.as_str(), london.number_type),
            ("GB", "2071838750", Some("local"))
        );
        assert_eq!(planned("+14165550123").countries[0], "CA");
        assert_eq!(planned("+18005550123").number_type, Some("toll_free"));
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
