//! The query of a search.

use shared::error::Error;
use shared::input::Input;
use shared::model::{CountryCode, Feature, NumberType};
use shared::telnyx::Search;

const LIMIT_DEFAULT: i64 = 20;
const LIMIT_LARGEST: i64 = 100;
/// Longer than any number, area code or city.
const LONGEST_DIGITS: usize = 15;
const LONGEST_NAME: usize = 100;

pub(crate) fn read(mut input: Input) -> Result<Search, Error> {
    let country_code = input.required("country_code", |input| input.parsed::<CountryCode>("country_code"));
    let number_type = input.parsed::<NumberType>("phone_number_type");
    let area_code = input.digits("area_code", LONGEST_DIGITS);
    let (city, state) = (input.text("city", LONGEST_NAME), input.text("state", LONGEST_NAME));
    let contains = input.digits("contains", LONGEST_DIGITS);
    let (starts_with, ends_with) = (input.digits("starts_with", LONGEST_DIGITS), input.digits("ends_with", LONGEST_DIGITS));
    let features = input.comma_separated::<Feature>("features");
    let limit = input.integer("limit", 1..=LIMIT_LARGEST).or(Some(LIMIT_DEFAULT));
    let quickship = input.boolean("quickship").or(Some(true));
    let best_effort = input.boolean("best_effort").or(Some(false));
    input.build(|| {
        let country_code = country_code?.into();
        Some(Search {
            country_code,
            number_type,
            area_code,
            city,
            state,
            contains,
            starts_with,
            ends_with,
            features,
            limit,
            quickship,
            best_effort,
        })
    })
}
