//! `phone-numbers-search`: numbers on offer at Telnyx.

use std::sync::Arc;

use serde::Serialize;
use shared::config::Config;
use shared::error::Error;
use shared::input::Input;
use shared::lambda::{Answer, Call, Function};
use shared::model::{E164, Feature, Money, NumberType, Permission};
use shared::numbering;
use shared::secrets::Secrets;
use shared::store::Store;
use shared::telnyx::{self, Accounts, Available, Client, Offers, Region};

const LIMIT_DEFAULT: i64 = 20;
const LIMIT_LARGEST: i64 = 100;
/// Longer than any number, area code or city.
const LONGEST_DIGITS: usize = 15;
const LONGEST_NAME: usize = 100;

/// The function.
pub struct Search {
    store: Store,
    accounts: Accounts,
    telnyx: Client,
}

impl Function for Search {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["GET"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self {
            store: Store::new(config, Arc::clone(&secrets)),
            accounts: Accounts::new(config.telnyx.keys.clone(), secrets),
            telnyx: Client::new(&config.telnyx),
        }
    }

    async fn warm(&self) {
        tokio::join!(self.store.warm(), self.accounts.warm());
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let search = read(call.query())?;
        let actor = self.store.authorize(call.user_id, Permission::Read).await?;
        let account = self.accounts.of_agency(actor.agency_id).await?;
        let offers = self.telnyx.session(&account, call.deadline).search(&search).await?;
        Answer::ok(&Found::new(&search, offers))
    }
}

/// The query of a search.
fn read(mut input: Input) -> Result<telnyx::Search, Error> {
    let search = telnyx::Search {
        country_code: input
            .required("country_code", |input| input.parsed::<CountryCode>("country_code"))
            .map(|code| code.0)
            .unwrap_or_default(),
        number_type: input.parsed::<NumberType>("phone_number_type"),
        area_code: input.digits("area_code", LONGEST_DIGITS),
        city: input.text("city", LONGEST_NAME),
        state: input.text("state", LONGEST_NAME),
        contains: input.digits("contains", LONGEST_DIGITS),
        starts_with: input.digits("starts_with", LONGEST_DIGITS),
        ends_with: input.digits("ends_with", LONGEST_DIGITS),
        features: input.comma_separated::<Feature>("features"),
        limit: Some(input.integer("limit", 1..=LIMIT_LARGEST).unwrap_or(LIMIT_DEFAULT)),
        quickship: Some(input.boolean("quickship").unwrap_or(true)),
        best_effort: Some(input.boolean("best_effort").unwrap_or(false)),
    };
    input.finish()?;
    Ok(search)
}

/// ISO 3166-1 alpha-2, in capitals.
struct CountryCode(String);

impl std::str::FromStr for CountryCode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        valid.then(|| Self(text.to_ascii_uppercase())).ok_or("must be a country in two letters, such as US")
    }
}

/// The answer.
#[derive(Serialize)]
struct Found {
    phone_numbers: Vec<Offer>,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    total_results: i64,
    best_effort_results: i64,
    country_code: String,
    limit: i64,
}

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the members callers know")]
struct Offer {
    phone_number: E164,
    phone_number_type: Option<&'static str>,
    features: Vec<String>,
    voice_enabled: bool,
    sms_enabled: bool,
    mms_enabled: bool,
    fax_enabled: bool,
    emergency_enabled: bool,
    region_information: Vec<Region>,
    country_code: String,
    monthly_cost: Option<Money>,
    upfront_cost: Option<Money>,
    currency: Option<String>,
    reservable: Option<bool>,
    quickship: Option<bool>,
    best_effort: bool,
}

impl Found {
    fn new(search: &telnyx::Search, offers: Offers) -> Self {
        let count = i64::try_from(offers.numbers.len()).unwrap_or(i64::MAX);
        let near = i64::try_from(offers.numbers.iter().filter(|offer| offer.best_effort).count()).unwrap_or(i64::MAX);
        Self {
            meta: Meta {
                total_results: offers.total_results.unwrap_or(count),
                best_effort_results: offers.best_effort_results.unwrap_or(near),
                country_code: search.country_code.clone(),
                limit: search.limit.unwrap_or(LIMIT_DEFAULT),
            },
            phone_numbers: offers.numbers.into_iter().map(|offer| Offer::new(search, offer)).collect(),
        }
    }
}

impl Offer {
    fn new(search: &telnyx::Search, offer: Available) -> Self {
        let has = |feature: Feature| offer.features.iter().any(|name| name == feature.as_str());
        let country = |region: &Region| region.country_code().map(str::to_owned);
        Self {
            // Telnyx does not tell an offer's type: it is what was asked for, or what the numbering plan says.
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
