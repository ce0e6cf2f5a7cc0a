//! Telnyx's API v2, as far as numbers are searched, ordered, found and given back.
//!
//! <https://developers.telnyx.com/api/numbers>. What a call may have done when it did not succeed is told by
//! [`Failure`]; nothing here retries anything that could buy. Answers are read leniently, one item at a time: a member that
//! cannot be read is unknown, and absence is reported only if everything that could contradict it was read.

mod accounts;
mod documents;
mod failure;
mod ids;
mod json;
mod rate_limits;
mod transport;
mod types;

use chrono::{DateTime, Utc};
use lambda_http::http::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::config;
use crate::model::E164;
use documents::{Compared, Item, Page};
use ids::Path;
use json::{Json, Object};
use transport::{Call, Transport};

pub use accounts::{Account, Accounts, KeyDigest};
pub use failure::{Failure, Refusal};
pub use ids::usable_id;
pub use types::{Available, InventoryPage, Offers, Order, OrderStatus, Orders, Owned, Region, Search};

/// A page of a listing, as large as Telnyx allows.
const LARGEST_PAGE: &str = "250";
/// How many pages of a listing are looked through before its end counts as unknown: 10,000 items.
const MOST_PAGES: u32 = 40;

/// The client; one serves a whole function. It remembers which accounts Telnyx limits: until such a limit is over, each call
/// for the account is [`Refusal::RateLimited`] with the time that is left, without being sent.
pub struct Client {
    transport: Transport,
}

/// Calls in the name of one account that must be over by a certain time.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    transport: &'a Transport,
    account: &'a Account,
    deadline: Instant,
}

impl Client {
    /// Performs no I/O.
    #[must_use]
    pub fn new(config: &config::Telnyx) -> Self {
        Self { transport: Transport::new(config) }
    }

    /// Calls in the name of `account` that are over by `deadline`.
    #[must_use]
    pub const fn session<'a>(&'a self, account: &'a Account, deadline: Instant) -> Session<'a> {
        Session { transport: &self.transport, account, deadline }
    }
}

impl Session<'_> {
    /// The account that is asked.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// When every call must be over.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Numbers on offer: `GET /available_phone_numbers`, which has no pages. An offer that cannot be read is skipped.
    ///
    /// # Errors
    /// See [`Failure`]; [`Refusal::BadRequest`] if Telnyx refuses what is asked for. Nothing is bought by searching.
    pub async fn search(&self, search: &Search) -> Result<Offers, Failure> {
        let number_type = search.number_type.map(|kind| kind.as_str().to_owned());
        let features = search.features.iter().map(|feature| feature.as_str()).collect::<Vec<_>>().join(",");
        // A filter that is not wrapped as filter[…] is silently ignored and would yield random numbers.
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
        let answer = self.transport.read(self, &Call::search(Path::to("/available_phone_numbers"), &query)).await?;
        answer.parse(|answer| documents::offers(answer, limit))
    }

    /// The offer of a certain number in a country; None only if every offer there is known to be another.
    ///
    /// # Errors
    /// As [`Session::search`]; [`Failure::Unknown`] if an offer that may be the number cannot be read or is not shown.
    pub async fn offer(&self, number: &E164, country_code: &str, national_digits: &str) -> Result<Option<Available>, Failure> {
        let search = Search { country_code: country_code.to_owned(), starts_with: Some(national_digits.to_owned()), ..Search::default() };
        let Offers { numbers, unreadable, total_results, .. } = self.search(&search).await?;
        let is_complete = unreadable == 0 && (!numbers.is_empty() || total_results.is_none_or(|total| total == 0));
        match numbers.into_iter().find(|offer| &offer.number == number) {
            None if !is_complete => Err(Failure::Unknown(format!("the offers in {country_code} cannot be read").into())),
            found => Ok(found),
        }
    }

    /// Orders one number: `POST /number_orders`. It is sent once and never again by itself, since Telnyx knows no
    /// idempotency key here.
    ///
    /// # Errors
    /// [`Failure::Unknown`]: the order may exist; look it up by its reference before anything else.
    pub async fn place_order(&self, number: &E164, reference: &str, connection_id: Option<&str>) -> Result<Order, Failure> {
        let mut body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference});
        if let Some(connection_id) = connection_id {
            body["connection_id"] = connection_id.into();
        }
        let answer = self.transport.send_once(self, &Call::order(Path::to("/number_orders"), &body)).await?;
        answer.parse(documents::one_order)
    }

    /// An order by its id; None where there is none.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NotSent`] if `id` is no usable id.
    pub async fn order(&self, id: &str) -> Result<Option<Order>, Failure> {
        let answer = self.transport.read(self, &Call::get(with_id("/number_orders/{id}", id)?, &[])).await?;
        failure::absent(answer.parse(documents::one_order))
    }

    /// The orders with a reference of ours for a number; none only if Telnyx is known to list none. There are several only if an
    /// earlier one was thought missing.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn orders_for(&self, reference: &str, number: &E164) -> Result<Orders, Failure> {
        let filter = ("filter[customer_reference]", reference.to_owned());
        let compare = |item: Json<'_>| documents::order_of(item, reference, number);
        let Found { matches: known, unclear } = self.look_through("/number_orders", filter, Extent::Everything, compare).await?;
        Ok(Orders { known, are_all: unclear == 0 })
    }

    /// An order for a number that is not decided yet, whatever its reference; None only if Telnyx is known to list none.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn pending_order_for(&self, number: &E164) -> Result<Option<Order>, Failure> {
        let filter = ("filter[status]", "pending".to_owned());
        let compare = |item: Json<'_>| documents::order_naming(item, number);
        let found = self.look_through("/number_orders", filter, Extent::FirstMatch, compare).await?;
        Ok(found.matches.into_iter().next())
    }

    /// Until when Telnyx waits for the documents of a number in an order, by [`Order::item_id`]:
    /// `GET /number_order_phone_numbers/{id}`.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NotSent`] if `item_id` is no usable id.
    pub async fn requirements_deadline(&self, item_id: &str) -> Result<Option<DateTime<Utc>>, Failure> {
        let path = with_id("/number_order_phone_numbers/{id}", item_id)?;
        let answer = self.transport.read(self, &Call::get(path, &[])).await?;
        answer.parse(|answer| Some(documents::deadline(answer)))
    }

    /// The ids of an order's parts: `GET /sub_number_orders`. One that cannot be read is skipped.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NotSent`] if `order_id` is no usable id.
    pub async fn sub_orders(&self, order_id: &str) -> Result<Vec<String>, Failure> {
        let order_id = usable_id(order_id).ok_or_else(no_id)?;
        let query = [("filter[order_request_id]", order_id.to_owned())];
        let answer = self.transport.read(self, &Call::get(Path::to("/sub_number_orders"), &query)).await?;
        let parts = answer.parse(|answer| documents::page(answer, 1, |item| Some(documents::sub_order_of(item, order_id))))?;
        let ids = parts.items.into_iter().filter_map(|part| if let Compared::Match(id) = part { Some(id) } else { None });
        Ok(ids.collect())
    }

    /// Cancels a part of an order that is still pending: `PATCH /sub_number_orders/{id}/cancel`.
    ///
    /// # Errors
    /// [`Failure::Refused`]: it is too late; [`Failure::Unknown`]: look the order up; [`Failure::NotSent`]: among others, `id` is
    /// no usable id.
    pub async fn cancel_sub_order(&self, id: &str) -> Result<(), Failure> {
        let path = with_id("/sub_number_orders/{id}/cancel", id)?;
        let answer = self.transport.send_once(self, &Call::change(Method::PATCH, path)).await?;
        answer.parse(has_data)
    }

    /// A number in the account's inventory, by exact E.164: Telnyx's filter matches parts of numbers too. None only if Telnyx is
    /// known to list none.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn find_number(&self, number: &E164) -> Result<Option<Owned>, Failure> {
        let filter = ("filter[phone_number]", number.digits().to_owned());
        let compare = |item: Json<'_>| documents::item_called(item, number);
        let found = self.look_through("/phone_numbers", filter, Extent::FirstMatch, compare).await?;
        Ok(found.matches.into_iter().next())
    }

    /// A page of the account's inventory, from 1, oldest first so that what is bought meanwhile comes last. With `digits`, at
    /// least three of them, only the numbers that contain them.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::refuses_request`] tells a page that Telnyx does not serve.
    pub async fn inventory(&self, digits: &str, page: u32) -> Result<InventoryPage, Failure> {
        let filter = Some(("filter[phone_number]", digits.to_owned())).filter(|_| !digits.is_empty());
        let paging = [("sort", "purchased_at".to_owned()), ("page[size]", LARGEST_PAGE.to_owned()), ("page[number]", page.to_string())];
        let query: Vec<_> = filter.into_iter().chain(paging).collect();
        let answer = self.transport.read(self, &Call::get(Path::to("/phone_numbers"), &query)).await?;
        let Page { items, is_empty, total_pages, .. } =
            answer.parse(|answer| documents::page(answer, page, |item| documents::item(&item.object()?)))?;
        let present = |item| if let Item::Present(owned) = item { Some(owned) } else { None };
        Ok(InventoryPage { numbers: items.into_iter().filter_map(present).collect(), is_empty, total_pages })
    }

    /// A number by Telnyx's id of it: `GET /phone_numbers/{id}`; None where the account has none.
    ///
    /// # Errors
    /// See [`Failure`]; a number that cannot be read is [`Failure::Unknown`], and an `id` that is no usable id is
    /// [`Failure::NotSent`]: neither is absent.
    pub async fn number(&self, id: &str) -> Result<Option<Owned>, Failure> {
        let answer = self.transport.read(self, &Call::get(with_id("/phone_numbers/{id}", id)?, &[])).await?;
        Ok(match failure::absent(answer.parse(documents::one_number))? {
            Some(Item::Present(owned)) => Some(owned),
            Some(Item::Gone) | None => None,
        })
    }

    /// Gives a number back: `DELETE /phone_numbers/{id}`. Doing it twice does no harm.
    ///
    /// # Errors
    /// See [`Failure`]; a number that is not there is [`Refusal::NotFound`], an `id` that is no usable id [`Failure::NotSent`].
    pub async fn delete_number(&self, id: &str) -> Result<(), Failure> {
        let path = with_id("/phone_numbers/{id}", id)?;
        let answer = self.transport.send_once(self, &Call::change(Method::DELETE, path)).await?;
        answer.parse(has_data)
    }

    /// Looks through a listing page by page. Nothing matches only if every item of every page is known to be something else.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::Unknown`] if nothing matches and an item that may match cannot be read, or the listing does
    /// not end.
    async fn look_through<T>(
        &self,
        path: &'static str,
        filter: (&'static str, String),
        extent: Extent,
        compare: impl Fn(Json<'_>) -> Compared<T>,
    ) -> Result<Found<T>, Failure> {
        let mut found = Found { matches: Vec::new(), unclear: 0 };
        for number in 1..=MOST_PAGES {
            let query = [filter.clone(), ("page[size]", LARGEST_PAGE.to_owned()), ("page[number]", number.to_string())];
            let answer = self.transport.read(self, &Call::get(Path::to(path), &query)).await?;
            let page = answer.parse(|answer| documents::page(answer, number, |item| Some(compare(item))))?;
            for item in page.items {
                match item {
                    Compared::Match(matching) => found.matches.push(matching),
                    Compared::Other => {}
                    Compared::Unclear => found.unclear += 1,
                }
            }
            let is_over = page.is_last || extent == Extent::FirstMatch;
            if is_over && !found.matches.is_empty() {
                return Ok(found);
            }
            if is_over && found.unclear > 0 {
                return Err(Failure::Unknown(format!("{} items of {path} cannot be told from what is looked for", found.unclear).into()));
            }
            if page.is_last {
                return Ok(found);
            }
        }
        Err(Failure::Unknown(format!("{path} goes on after {MOST_PAGES} pages").into()))
    }
}

/// How far a listing is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Up to the first page with a match.
    FirstMatch,
    /// To its end.
    Everything,
}

/// What a listing has of what is looked for.
struct Found<T> {
    matches: Vec<T>,
    /// Items that may match, and cannot be read.
    unclear: usize,
}

/// The path to something by its id. A text that is no usable id is not sent: it would address something else.
fn with_id(template: &'static str, id: &str) -> Result<Path, Failure> {
    Path::with_id(template, id).ok_or_else(no_id)
}

fn no_id() -> Failure {
    Failure::NotSent("what is stored as an id of Telnyx's is none".into())
}

/// Whether an answer tells of what it has changed.
fn has_data(answer: &Object<'_>) -> Option<()> {
    answer.get("data", Json::object).map(|_| ())
}
