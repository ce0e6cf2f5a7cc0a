//! The query of a search.

use shared::error::Error;
use shared::input;
use shared::input::{Digits, Flag, Input, Integer, Text, Words};
use shared::model::{CountryCode, Feature, NumberType};
use shared::telnyx::Search;

/// Longer than any number, area code or prefix.
const LONGEST_DIGITS: usize = 15;
/// Longer than any name of a place.
const LONGEST_PLACE: usize = 100;

input! {
    /// The query of a search.
    pub(crate) struct Query {
        /// The country whose numbers are wanted: ISO 3166-1 alpha-2.
        required country_code: CountryCode, example "US";
        /// The kind of number.
        optional phone_number_type: NumberType, example "local";
        /// The area code, without a prefix.
        optional area_code: Digits<LONGEST_DIGITS>, example "312";
        /// The city or rate center.
        optional city: Text<LONGEST_PLACE>, example "Chicago";
        /// The state or province, in two letters.
        optional state: Text<LONGEST_PLACE>, example "IL";
        /// Digits anywhere in the national number.
        optional contains: Digits<LONGEST_DIGITS>, example "555";
        /// The first digits of the national number; with an area code, the digits that follow it.
        optional starts_with: Digits<LONGEST_DIGITS>, example "555";
        /// The last digits of the national number.
        optional ends_with: Digits<LONGEST_DIGITS>, example "00";
        /// Features that the number must all have: words separated by commas.
        optional features: Words<Feature>, example "voice,sms";
        /// The largest number of offers.
        optional limit: Integer<1, 100> = 20;
        /// Leaves out +1 toll-free numbers that do not work at once.
        optional quickship: Flag = true;
        /// Adds near matches if there are too few exact ones.
        optional best_effort: Flag = false;
    }
}

pub(crate) fn read(mut input: Input) -> Result<Search, Error> {
    let query = input.read::<Query>();
    let query = input.finish(query)?;
    Ok(Search {
        country_code: query.country_code.into(),
        number_type: query.phone_number_type,
        area_code: query.area_code,
        city: query.city,
        state: query.state,
        contains: query.contains,
        starts_with: query.starts_with,
        ends_with: query.ends_with,
        features: query.features.unwrap_or_default(),
        limit: Some(query.limit),
        quickship: Some(query.quickship),
        best_effort: Some(query.best_effort),
    })
}
