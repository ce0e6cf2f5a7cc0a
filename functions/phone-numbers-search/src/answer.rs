//! The answer to a search.

use serde::Serialize;
use shared::error::Error;
use shared::lambda::Answer;
use shared::model::{E164, Feature, Money, NumberType};
use shared::numbering;
use shared::telnyx::{Available, Offers, Region, Search};

/// The numbers on offer, as many as `search` asks for at most.
pub(crate) fn found(search: &Search, offers: Offers) -> Result<Answer, Error> {
    Answer::ok(&Found::new(search, offers))
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "SearchResult")
)]
pub(crate) struct Found {
    /// The offers.
    phone_numbers: Vec<Offer>,
    /// What the search was, and what Telnyx counted.
    meta: Meta,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars", rename = "SearchMeta"))]
struct Meta {
    /// How many offers match.
    total_results: i64,
    /// How many of them are near matches.
    best_effort_results: i64,
    /// The country that was searched: ISO 3166-1 alpha-2.
    country_code: String,
    /// The largest number of offers.
    limit: Option<i64>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars"))]
#[allow(clippy::struct_excessive_bools, reason = "the members callers know")]
struct Offer {
    /// The number in E.164.
    phone_number: E164,
    /// The kind that was searched for, or that of the numbering plan.
    phone_number_type: Option<&'static str>,
    /// Telnyx's names of the number's features.
    features: Vec<String>,
    /// Whether the number can take calls.
    voice_enabled: bool,
    /// Whether the number can take SMS.
    sms_enabled: bool,
    /// Whether the number can take MMS.
    mms_enabled: bool,
    /// Whether the number can take faxes.
    fax_enabled: bool,
    /// Whether the number can make emergency calls.
    emergency_enabled: bool,
    /// Where the number is from.
    region_information: Vec<Region>,
    /// The number's country: ISO 3166-1 alpha-2.
    country_code: String,
    /// Paid every month; null if Telnyx does not say.
    monthly_cost: Option<Money>,
    /// Paid once; null if Telnyx does not say.
    upfront_cost: Option<Money>,
    /// The currency of both costs: ISO 4217.
    currency: Option<String>,
    /// Whether the number can be reserved.
    reservable: Option<bool>,
    /// Whether the number works at once.
    quickship: Option<bool>,
    /// Whether the number is a near match.
    best_effort: bool,
}

impl Found {
    fn new(search: &Search, offers: Offers) -> Self {
        let count = i64::try_from(offers.numbers.len()).unwrap_or(i64::MAX);
        let near = i64::try_from(offers.numbers.iter().filter(|offer| offer.best_effort).count()).unwrap_or(i64::MAX);
        Self {
            meta: Meta {
                total_results: offers.total_results.unwrap_or(count),
                best_effort_results: offers.best_effort_results.unwrap_or(near),
                country_code: search.country_code.clone(),
                limit: search.limit,
            },
            phone_numbers: offers.numbers.into_iter().map(|offer| Offer::new(search, offer)).collect(),
        }
    }
}

impl Offer {
    fn new(search: &Search, offer: Available) -> Self {
        let has = |feature: Feature| offer.features.iter().any(|name| name == feature.as_str());
        let country = |region: &Region| region.country_code().map(str::to_owned);
        Self {
            // Telnyx does not state the type of an offer: it is the requested one, or that of the numbering plan.
            phone_number_type: search.number_type.map(NumberType::as_str).or_else(|| numbering::number_type(&offer.number)),
            voice_enabled: has(Feature::Voice),
            sms_enabled: has(Feature::Sms),
            mms_enabled: has(Feature::Mms),
            fax_enabled: has(Feature::Fax),
            emergency_enabled: has(Feature::Emergency),
            country_code: offer.regions.iter().find_map(country).unwrap_or_else(|| search.country_code.clone()),
            phone_number: offer.number,
            features: offer.features,
            region_information: offer.regions,
            monthly_cost: offer.monthly_cost,
            upfront_cost: offer.upfront_cost,
            currency: offer.currency,
            reservable: offer.reservable,
            quickship: offer.quickship,
            best_effort: offer.best_effort,
        }
    }
}
