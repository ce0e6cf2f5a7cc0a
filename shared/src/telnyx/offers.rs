//! Numbers for sale: `GET /available_phone_numbers`.

use super::json::{Json, List, Object};
use super::transport::Request;
use super::{Failure, Session};
use crate::model::{E164, Feature, Money, NumberType};

/// More characters than a feature, or a kind of region, has.
const LONGEST_WORD: usize = 50;
/// More characters than a place name has.
const LONGEST_PLACE_NAME: usize = 100;
/// More features or regions than a number has.
const LONGEST_LIST: usize = 50;

/// The filters of a search. Only the country is required.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
    /// The kind of number.
    pub number_type: Option<NumberType>,
    /// The area code, without a prefix.
    pub area_code: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The state or province, in two letters.
    pub state: Option<String>,
    /// Digits anywhere in the national number.
    pub contains: Option<String>,
    /// The first digits of the national number; with an area code, the digits that follow it.
    pub starts_with: Option<String>,
    /// The last digits of the national number.
    pub ends_with: Option<String>,
    /// Features that the number must all have.
    pub features: Vec<Feature>,
    /// The largest number of offers.
    pub limit: Option<i64>,
    /// Whether to leave out +1 toll-free numbers that do not work at once.
    pub quickship: Option<bool>,
    /// Whether to add near matches if there are too few exact ones.
    pub best_effort: Option<bool>,
}

/// The result of a search.
#[derive(Clone, Debug)]
pub struct Offers {
    /// The offers, at most [`Search::limit`].
    pub numbers: Vec<Available>,
    /// How many offers were skipped because they could not be read.
    pub unreadable: usize,
    /// Telnyx's count of all matches; not negative.
    pub total_results: Option<i64>,
    /// How many of them are near matches; not negative.
    pub best_effort_results: Option<i64>,
}

/// A number for sale.
#[derive(Clone, Debug)]
pub struct Available {
    /// The number.
    pub number: E164,
    /// Telnyx's names of its features, at most 50.
    pub features: Vec<String>,
    /// Where it is from: at most 50 pairs of kind and name.
    pub regions: Vec<Region>,
    /// The monthly price. An amount that cannot be read is unknown; one too large for [`Money`] is its largest value.
    pub monthly_cost: Option<Money>,
    /// The price that is paid once; read like `monthly_cost`.
    pub upfront_cost: Option<Money>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Whether it is a near match.
    pub best_effort: bool,
    /// Whether it works at once.
    pub quickship: Option<bool>,
    /// Whether it can be reserved.
    pub reservable: Option<bool>,
}

/// A region that a number belongs to.
#[derive(Clone, Debug, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Region {
    /// Telnyx's name of the kind: `country_code`, `state`, `rate_center` or `location`.
    pub region_type: Option<String>,
    /// The region's name.
    pub region_name: Option<String>,
}

impl Region {
    /// The country, ISO 3166-1 alpha-2, if the region is one.
    #[must_use]
    pub fn country_code(&self) -> Option<&str> {
        let name = self.region_name.as_deref().filter(|_| self.region_type.as_deref() == Some("country_code"))?;
        (name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(name)
    }
}

impl Session<'_> {
    /// Searches for numbers for sale. The listing has no pages. Offers that cannot be read are skipped.
    ///
    /// # Errors
    /// See [`Failure`]; [`Refusal::BadRequest`](super::Refusal::BadRequest) if Telnyx refuses the filters.
    pub async fn search(&self, search: &Search) -> Result<Offers, Failure> {
        let number_type = search.number_type.map(|kind| kind.as_str().to_owned());
        let features = search.features.iter().map(|feature| feature.as_str()).collect::<Vec<_>>().join(",");
        // Telnyx ignores a filter that is not wrapped as filter[…], and would return random numbers.
        let filters = [
            ("filter[country_code]", Some(search.country_code.clone())),
            ("filter[phone_number_type]", number_type),
            ("filter[national_destination_code]", search.area_code.clone()),
            ("filter[locality]", search.city.clone()),
            ("filter[administrative_area]", search.state.clone()),
            ("filter[phone_number][contains]", search.contains.clone()),
            ("filter[phone_number][starts_with]", search.starts_with.clone()),
            ("filter[phone_number][ends_with]", search.ends_with.clone()),
            ("filter[features]", Some(features).filter(|features| !features.is_empty())),
            ("filter[limit]", search.limit.map(|limit| limit.to_string())),
            ("filter[quickship]", search.quickship.map(|wanted| wanted.to_string())),
            ("filter[best_effort]", search.best_effort.map(|wanted| wanted.to_string())),
        ];
        let query: Vec<_> = filters.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
        let limit = search.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let response = self.transport.read(self, &Request::search("/available_phone_numbers", &query)).await?;
        response.parse(|document| offers(document, limit))
    }

    /// Searches for one number in a country. Returns `None` only if every offer there is another number.
    ///
    /// # Errors
    /// As [`Session::search`]; [`Failure::Unknown`] if an offer that may be the number cannot be read or was not listed.
    pub async fn offer(&self, number: &E164, country_code: &str, national_digits: &str) -> Result<Option<Available>, Failure> {
        let search = Search { country_code: country_code.to_owned(), starts_with: Some(national_digits.to_owned()), ..Search::default() };
        let Offers { numbers, unreadable, total_results, .. } = self.search(&search).await?;
        let is_complete = unreadable == 0 && (!numbers.is_empty() || total_results.is_none_or(|total| total == 0));
        match numbers.into_iter().find(|offer| &offer.number == number) {
            None if !is_complete => Err(Failure::Unknown(format!("the offers in {country_code} cannot be read completely").into())),
            found => Ok(found),
        }
    }
}

/// The offers in a document, at most `limit`. Telnyx puts the counts into `meta`, `metadata` or both.
pub(super) fn offers(document: &Object<'_>, limit: usize) -> Option<Offers> {
    let List { items: numbers, unreadable } = document.list("data", limit, |item| offer(&item.object()?)).known()?;
    let meta = ["meta", "metadata"].map(|name| document.get(name, Json::object));
    let count = |name| meta.iter().flatten().find_map(|meta| meta.get(name, Json::count)).map(i64::from);
    let (total_results, best_effort_results) = (count("total_results"), count("best_effort_results"));
    Some(Offers { numbers, unreadable, total_results, best_effort_results })
}

/// Returns `None` if the number cannot be read; every other member may be unknown.
fn offer(offer: &Object<'_>) -> Option<Available> {
    let number = offer.get("phone_number", Json::number)?;
    let cost = offer.get("cost_information", Json::object);
    let amount = |name| cost.as_ref().and_then(|cost| cost.get(name, Json::money));
    Some(Available {
        number,
        features: offer.list("features", LONGEST_LIST, feature).readable(),
        regions: offer.list("region_information", LONGEST_LIST, region).readable(),
        monthly_cost: amount("monthly_cost"),
        upfront_cost: amount("upfront_cost"),
        currency: cost.as_ref().and_then(|cost| cost.get("currency", Json::currency)),
        best_effort: offer.get("best_effort", Json::flag).unwrap_or_default(),
        quickship: offer.get("quickship", Json::flag),
        reservable: offer.get("reservable", Json::flag),
    })
}

/// A feature: an object with its name, or the name itself.
fn feature(item: Json<'_>) -> Option<String> {
    let name = |json: Json<'_>| json.text(LONGEST_WORD).filter(|name| !name.is_empty());
    name(item).or_else(|| item.object()?.get("name", name))
}

fn region(item: Json<'_>) -> Option<Region> {
    let item = item.object()?;
    let region = Region {
        region_type: item.get("region_type", |json| json.text(LONGEST_WORD)),
        region_name: item.get("region_name", |json| json.text(LONGEST_PLACE_NAME)),
    };
    (region.region_type.is_some() || region.region_name.is_some()).then_some(region)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::testing::{parsed, with_odd_members};
    use super::*;

    fn good() -> Value {
        json!({
            "phone_number": "+13125550123", "features": [{"name": "voice"}], "best_effort": false, "quickship": true, "reservable": true,
            "region_information": [{"region_type": "country_code", "region_name": "US"}],
            "cost_information": {"monthly_cost": "1.00", "upfront_cost": "1.00", "currency": "USD"},
        })
    }

    proptest! {
        #[test]
        fn an_odd_offer_hides_no_other_and_every_offer_is_shown_or_counted(odd in vec(with_odd_members(good()), 0..5), limit in 0_usize..7) {
            let mut items = odd.clone();
            items.push(good());
            let read = parsed(&json!({ "data": items }), |document| offers(document, usize::MAX)).unwrap();
            prop_assert_eq!(read.numbers.len() + read.unreadable, items.len());
            let last = read.numbers.last().unwrap();
            prop_assert_eq!(last.number.as_str(), "+13125550123");
            prop_assert_eq!(last.monthly_cost.unwrap().to_string(), "1.00");
            let all = read.numbers.len();
            let limited = parsed(&json!({ "data": items }), |document| offers(document, limit)).unwrap();
            prop_assert_eq!(limited.numbers.len(), all.min(limit));
        }
    }
}
