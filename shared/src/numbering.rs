//! Numbering plans: the countries, national digits and type of a phone number.
//!
//! The plans are libphonenumber's, from the crate `rlibphonenumber`. Unlike the crate `phonenumber` it does not compile the
//! patterns of every country before it reads the first number. It has a single author, so the tests compare it with
//! `phonenumber`.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType, Region, get_national_significant_number_owned};

use crate::model::E164;

/// The largest number of countries in which one number is searched for.
const MOST_COUNTRIES: usize = 4;
/// The calling code of 25 countries.
const NORTH_AMERICA: i32 = 1;
/// Telnyx offers a +1 number in the country of its area code, or in one of these.
const NORTH_AMERICAN_MARKETS: [&str; 2] = ["US", "CA"];

/// What the numbering plan says of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One to four countries that may offer it, ISO 3166-1 alpha-2: first the number's own, then the others with the same
    /// calling code, or for +1 the United States and Canada.
    pub countries: Vec<String>,
    /// Its digits without the calling code.
    pub national_digits: String,
}

/// The plan of a number. Returns `None` if no country has its calling code.
///
/// ```
/// let plan = shared::numbering::plan(&"+442071838750".parse()?).ok_or("no plan")?;
/// assert_eq!(plan.countries, ["GB", "GG", "IM", "JE"]);
/// assert_eq!(plan.national_digits, "2071838750");
/// # Ok::<(), &'static str>(())
/// ```
#[must_use]
pub fn plan(number: &E164) -> Option<Plan> {
    let parsed = parse(number)?;
    // The plans put calling codes without a country, such as +800, under "the world".
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

/// The type of a number: `local`, `toll_free`, `mobile`, `national` or `shared_cost`. Returns `None` if the plan does not say.
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
    use std::collections::BTreeSet;

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

    /// Numbers whose national digits begin with 0: for them `phonenumber` 0.3 finds no type, and for +39 no country.
    const LEADING_ZERO: [&str; 17] = [
        "+687050012",
        "+67908001234567",
        "+50108001234123",
        "+390212345678",
        "+26808001234",
        "+2670800012345",
        "+24101441234",
        "+6760800222",
        "+4702000",
        "+2250123456789",
        "+8530800501",
        "+242061234567",
        "+390669812345",
        "+3780549886377",
        "+2290120211234",
        "+2290195123456",
        "+22708123456",
    ];
    /// Numbers whose national digits begin with 8, which `phonenumber` 0.3 removes as if it were a prefix for national calls.
    const LEADING_EIGHT: [&str; 5] = ["+3758011234567", "+78001234567", "+37080012345", "+37080812345", "+37080123456"];

    /// What is used of a plan: the number's own country, national digits and type.
    type Facts = (Option<String>, String, Option<&'static str>);

    /// The facts from the crate `phonenumber`.
    fn second_opinion(number: &E164) -> Facts {
        use phonenumber::Type;
        let parsed = phonenumber::parse(None, number.as_str()).unwrap();
        let number_type = match parsed.number_type(&phonenumber::metadata::DATABASE) {
            Type::FixedLine | Type::FixedLineOrMobile => Some("local"),
            Type::Mobile => Some("mobile"),
            Type::TollFree => Some("toll_free"),
            Type::SharedCost => Some("shared_cost"),
            Type::Uan | Type::Voip => Some("national"),
            _ => None,
        };
        (parsed.country().id().map(|id| id.as_ref().to_owned()), parsed.national().to_string(), number_type)
    }

    #[test]
    fn a_second_implementation_agrees_on_an_example_of_each_type_in_each_country() {
        use PhoneNumberType::{FixedLine, Mobile, SharedCost, TollFree, UAN, VoIP};
        let types = [FixedLine, Mobile, TollFree, SharedCost, VoIP, UAN];
        let regions = PHONE_NUMBER_UTIL.get_supported_regions();
        let examples = regions.flat_map(|region| types.map(|kind| PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind)));
        let numbers: BTreeSet<E164> = examples
            .filter_map(Result::ok)
            .filter_map(|example| format!("+{}{}", example.country_code, get_national_significant_number_owned(&example)).parse().ok())
            .collect();
        assert!(numbers.len() > 800, "{}", numbers.len());
        for number in &numbers {
            let plan = plan(number).unwrap();
            let ours: Facts = (plan.countries.first().cloned(), plan.national_digits, number_type(number));
            let theirs = second_opinion(number);
            if LEADING_ZERO.contains(&number.as_str()) {
                assert!(ours.1.starts_with('0') && ours.1 == theirs.1 && theirs.2.is_none(), "{number}: {ours:?}, {theirs:?}");
            } else if LEADING_EIGHT.contains(&number.as_str()) {
                assert!(ours.1.starts_with('8') && ours.1 != theirs.1, "{number}: {ours:?}, {theirs:?}");
            } else {
                assert_eq!(ours, theirs, "{number}");
            }
        }
    }
}
