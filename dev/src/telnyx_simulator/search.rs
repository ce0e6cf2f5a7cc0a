//! `GET /available_phone_numbers`.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    errors::Problem,
    query::Query,
    settings::RefusedSearch,
    state::{Availability, SimulatorState},
    stock::{Offer, STOCK},
};

/// The `filter[limit]` of a search without one.
const DEFAULT_LIMIT: usize = 100;
/// Countries with near matches.
const BEST_EFFORT_COUNTRIES: [&str; 2] = ["US", "CA"];

pub(super) fn search(state: &mut SimulatorState, account: &str, query: &Query) -> Result<Value, Problem> {
    let limit = query.integer(&["filter", "limit"], 0, u32::MAX as usize)?.unwrap_or(DEFAULT_LIMIT);
    refuse(state, query)?;
    let wanted = Wanted::from(query);
    let can_show = |offer: &&'static Offer| match state.availability(account, offer) {
        Availability::Free => true,
        Availability::Reserved => !wanted.exclude_held,
        Availability::Taken => false,
    };
    let exact: Vec<_> =
        STOCK.iter().filter(|offer| wanted.kind_fits(offer) && wanted.place_fits(offer)).filter(can_show).take(limit).collect();
    let near: Vec<_> = if wanted.best_effort {
        let states = wanted.states();
        STOCK
            .iter()
            .filter(|offer| wanted.kind_fits(offer) && wanted.is_near(offer, &states))
            .filter(can_show)
            .take(limit - exact.len())
            .collect()
    } else {
        Vec::new()
    };
    state.searched.extend(exact.iter().chain(&near).map(|offer| (account.to_owned(), offer.phone_number.as_str())));
    let counts = json!({ "total_results": exact.len() + near.len(), "best_effort_results": near.len() });
    let all = exact.iter().map(|offer| (offer, false)).chain(near.iter().map(|offer| (offer, true)));
    let data: Vec<_> = all.map(|(offer, best_effort)| available(state, offer, best_effort)).collect();
    Ok(json!({ "data": data, "meta": counts, "metadata": counts }))
}

/// Refuses a search that the setting `refused_searches` lists.
fn refuse(state: &SimulatorState, query: &Query) -> Result<(), Problem> {
    let refused = |refused: &&RefusedSearch| refused.filters.iter().all(|(name, value)| query.has_filter(name, value));
    match state.settings.refused_searches.iter().find(refused) {
        Some(refused) => Err(Problem::new(refused.status, &refused.code, "This search is not supported.")),
        None => Ok(()),
    }
}

/// The filters of a search.
struct Wanted<'q> {
    country_code: Option<&'q str>,
    phone_number_type: Option<&'q str>,
    features: Vec<&'q str>,
    quickship: bool,
    reservable: Option<bool>,
    exclude_held: bool,
    best_effort: bool,
    locality: Option<&'q str>,
    administrative_area: Option<&'q str>,
    ndc: Option<&'q str>,
    rate_center: Option<&'q str>,
    starts_with: Option<&'q str>,
    ends_with: Option<&'q str>,
    contains: Option<&'q str>,
}

impl<'q> Wanted<'q> {
    fn from(query: &'q Query) -> Self {
        let pattern = |name| query.one(&["filter", "phone_number", name]);
        Self {
            country_code: query.filter("country_code"),
            phone_number_type: query.filter("phone_number_type"),
            features: query.all(&["filter", "features"]),
            quickship: query.flag("quickship") == Some(true),
            reservable: query.flag("reservable"),
            exclude_held: query.flag("exclude_held_numbers") == Some(true),
            best_effort: query.flag("best_effort") == Some(true),
            locality: query.filter("locality"),
            administrative_area: query.filter("administrative_area"),
            ndc: query.filter("national_destination_code"),
            rate_center: query.filter("rate_center"),
            starts_with: pattern("starts_with"),
            ends_with: pattern("ends_with"),
            contains: pattern("contains"),
        }
    }

    /// The filters that near matches must satisfy too.
    fn kind_fits(&self, offer: &Offer) -> bool {
        same(self.country_code, offer.range.country)
            && self.phone_number_type.is_none_or(|wanted| wanted == offer.range.phone_number_type)
            && same(self.administrative_area, offer.range.administrative_area)
            && self.features.iter().all(|feature| offer.has(feature))
            && (!self.quickship || offer.quickship)
            && self.reservable.is_none_or(|wanted| wanted == offer.reservable)
    }

    fn place_fits(&self, offer: &Offer) -> bool {
        same(self.locality, offer.range.locality)
            && self.ndc.is_none_or(|ndc| ndc == offer.range.ndc)
            && same(self.rate_center, offer.range.rate_center)
            && self.digits_fit(offer)
    }

    /// Patterns apply to the digits after the area code if one is given, otherwise to the national number.
    fn digits_fit(&self, offer: &Offer) -> bool {
        let digits = if self.ndc.is_some() { offer.subscriber() } else { &offer.national };
        self.starts_with.is_none_or(|part| digits.starts_with(part))
            && self.ends_with.is_none_or(|part| digits.ends_with(part))
            && self.contains.is_none_or(|part| digits.contains(part))
    }

    /// The states of the places in the filters.
    fn states(&self) -> HashSet<&'static str> {
        let matches = |offer: &&Offer| {
            self.ndc == Some(offer.range.ndc)
                || self.locality.is_some_and(|place| place.eq_ignore_ascii_case(offer.range.locality))
                || self.rate_center.is_some_and(|center| center.eq_ignore_ascii_case(offer.range.rate_center))
        };
        STOCK.iter().filter(matches).map(|offer| offer.range.administrative_area).collect()
    }

    /// In the same state, or anywhere if no place is given.
    fn is_near(&self, offer: &Offer, states: &HashSet<&str>) -> bool {
        BEST_EFFORT_COUNTRIES.contains(&offer.range.country)
            && !self.place_fits(offer)
            && (states.is_empty() || states.contains(offer.range.administrative_area))
    }
}

fn same(wanted: Option<&str>, actual: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(actual))
}

fn available(state: &SimulatorState, offer: &Offer, best_effort: bool) -> Value {
    let range = offer.range;
    let own = || json!({ "upfront_cost": range.upfront_cost, "monthly_cost": range.monthly_cost, "currency": "USD" });
    let features: Vec<_> = offer.features.iter().map(|name| json!({ "name": name })).collect();
    let regions = [
        ("state", range.administrative_area),
        ("country_code", range.country),
        ("rate_center", range.rate_center),
        ("location", range.locality),
    ];
    let region_information: Vec<_> = regions
        .iter()
        .filter(|(_, name)| !name.is_empty())
        .map(|(region_type, name)| json!({ "region_type": region_type, "region_name": name }))
        .collect();
    json!({
        "record_type": "available_phone_number",
        "phone_number": offer.phone_number,
        "vanity_format": null,
        "best_effort": best_effort,
        "quickship": offer.quickship,
        "reservable": offer.reservable,
        "features": features,
        "region_information": region_information,
        "cost_information": state.settings.cost_information.clone().unwrap_or_else(own),
    })
}
