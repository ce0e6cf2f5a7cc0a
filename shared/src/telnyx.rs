//! Telnyx's API v2, as far as numbers are searched, ordered, found and given back.
//!
//! <https://developers.telnyx.com/api/numbers>. What a call may have done when it did not succeed is told by
//! [`Failure`]; nothing here retries anything that could buy.

mod accounts;
mod failure;
mod transport;
mod wire;

use chrono::{DateTime, Utc};
use lambda_http::http::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::config;
use crate::model::{E164, Feature, Money, NumberType};
use transport::Transport;

pub use accounts::{Account, Accounts};
pub use failure::{Failure, Refusal};

/// A page of a listing, as large as Telnyx allows.
const LARGEST_PAGE: &str = "250";

/// The client; one serves a whole function.
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

/// What a search asks for. Everything but the country is optional.
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
    /// Digits the national number begins with; behind the area code, where one is given.
    pub starts_with: Option<String>,
    /// Digits the national number ends with.
    pub ends_with: Option<String>,
    /// What the number must carry, all of it.
    pub features: Vec<Feature>,
    /// How many at the most.
    pub limit: Option<i64>,
    /// Leave out +1 toll-free numbers that take a while to work.
    pub quickship: Option<bool>,
    /// Near matches too, where there are too few.
    pub best_effort: Option<bool>,
}

/// Numbers on offer.
#[derive(Clone, Debug)]
pub struct Offers {
    /// The numbers.
    pub numbers: Vec<Available>,
    /// How many there are, as Telnyx counts.
    pub total_results: Option<i64>,
    /// How many of them are near matches.
    pub best_effort_results: Option<i64>,
}

/// A number on offer.
#[derive(Clone, Debug)]
pub struct Available {
    /// The number.
    pub number: E164,
    /// What it can carry, in Telnyx's words.
    pub features: Vec<String>,
    /// Where it is from: pairs of kind and name.
    pub regions: Vec<Region>,
    /// Paid every month.
    pub monthly_cost: Option<Money>,
    /// Paid once.
    pub upfront_cost: Option<Money>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Whether it is a near match.
    pub best_effort: bool,
    /// Whether it works at once.
    pub quickship: Option<bool>,
    /// Whether it can be held for a while.
    pub reservable: Option<bool>,
}

/// Where a number is from.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Region {
    /// `country_code`, `state`, `rate_center` or `location`.
    pub region_type: Option<String>,
    /// Its name.
    pub region_name: Option<String>,
}

/// An order for one number.
#[derive(Clone, Debug)]
pub struct Order {
    /// Telnyx's id: a UUID.
    pub id: String,
    /// What has become of it.
    pub status: OrderStatus,
    /// Whether Telnyx has every document it wants.
    pub requirements_met: Option<bool>,
    /// The number's type, in Telnyx's words.
    pub number_type: Option<String>,
    /// The id of the number within the order: not that of the number in the inventory.
    pub item_id: Option<String>,
    /// The ids of its parts, where Telnyx tells them.
    pub sub_order_ids: Vec<String>,
}

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Not decided.
    Pending,
    /// The number is ours, and paid for.
    Success,
    /// The number is not ours.
    Failure,
}

/// A number in an account's inventory.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Telnyx's id: about 19 decimal digits, more than a float can hold. Not the id of anything in an order.
    pub id: String,
    /// The number.
    pub number: E164,
    /// Whether it works, and so is paid for; not while it is being ordered.
    pub is_active: bool,
    /// The reference of the order that bought it.
    pub customer_reference: Option<String>,
    /// The number's type, in Telnyx's words.
    pub number_type: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
}

/// A page of an account's inventory.
#[derive(Clone, Debug)]
pub struct InventoryPage {
    /// The numbers, but for those that are gone. One that cannot be read is passed over.
    pub numbers: Vec<Owned>,
    /// Whether the page has no item at all, not even one that cannot be read.
    pub is_empty: bool,
    /// How many pages there are, where Telnyx tells.
    pub total_pages: Option<u32>,
}

impl Client {
    /// Talks to nobody yet.
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
    /// Numbers on offer: `GET /available_phone_numbers`, which has no pages.
    ///
    /// # Errors
    /// See [`Failure`]; nothing is bought by searching.
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
        let answer: wire::Offers = self.transport.get(self, "/available_phone_numbers", &query).await?;
        Ok(answer.into())
    }

    /// The offer of one very number, if it is on offer in that country.
    ///
    /// # Errors
    /// See [`Failure`]; nothing is bought by searching.
    pub async fn offer(&self, number: &E164, country_code: &str, national_digits: &str) -> Result<Option<Available>, Failure> {
        let search = Search { country_code: country_code.to_owned(), starts_with: Some(national_digits.to_owned()), ..Search::default() };
        let offers = self.search(&search).await?;
        Ok(offers.numbers.into_iter().find(|offer| &offer.number == number))
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
        let order: wire::Envelope<wire::Order> = self.transport.send_once(self, Method::POST, "/number_orders", Some(&body)).await?;
        Ok(order.data.into())
    }

    /// An order by its id; None where there is none.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn order(&self, id: &str) -> Result<Option<Order>, Failure> {
        let path = format!("/number_orders/{}", transport::segment(id));
        let order = self.transport.get::<wire::Envelope<wire::Order>>(self, &path, &[]).await;
        failure::absent(order.map(|order| order.data.into()))
    }

    /// The order with a reference of ours for a number. Several can only be when an earlier one was thought missing: the
    /// one that bought the number counts, then one that may yet.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn find_order(&self, reference: &str, number: &E164) -> Result<Option<Order>, Failure> {
        let query = [("filter[customer_reference]", reference.to_owned()), ("page[size]", LARGEST_PAGE.to_owned())];
        let orders: wire::Page<wire::Order> = self.transport.get(self, "/number_orders", &query).await?;
        let ours = orders.data.into_iter().filter(|order| order.is_for(reference, number)).map(Order::from);
        Ok(ours.min_by_key(|order| match order.status {
            OrderStatus::Success => 0,
            OrderStatus::Pending => 1,
            OrderStatus::Failure => 2,
        }))
    }

    /// An order for a number that is not decided yet, whatever its reference.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn pending_order_for(&self, number: &E164) -> Result<Option<Order>, Failure> {
        for page in 1_u32.. {
            let query =
                [("filter[status]", "pending".to_owned()), ("page[size]", LARGEST_PAGE.to_owned()), ("page[number]", page.to_string())];
            let orders: wire::Page<wire::Order> = self.transport.get(self, "/number_orders", &query).await?;
            let is_last = orders.is_last(page);
            if let Some(order) = orders.data.into_iter().find(|order| order.names(number)) {
                return Ok(Some(order.into()));
            }
            if is_last {
                break;
            }
        }
        Ok(None)
    }

    /// Until when Telnyx waits for the documents of a number in an order, by [`Order::item_id`]:
    /// `GET /number_order_phone_numbers/{id}`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn requirements_deadline(&self, item_id: &str) -> Result<Option<DateTime<Utc>>, Failure> {
        let path = format!("/number_order_phone_numbers/{}", transport::segment(item_id));
        let item: wire::Envelope<wire::OrderedNumber> = self.transport.get(self, &path, &[]).await?;
        Ok(item.data.deadline)
    }

    /// The ids of an order's parts: `GET /sub_number_orders`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn sub_orders(&self, order_id: &str) -> Result<Vec<String>, Failure> {
        let query = [("filter[order_request_id]", order_id.to_owned())];
        let parts: wire::Page<wire::SubOrder> = self.transport.get(self, "/sub_number_orders", &query).await?;
        Ok(parts.data.into_iter().map(|part| part.id).collect())
    }

    /// Cancels a part of an order that is still pending: `PATCH /sub_number_orders/{id}/cancel`.
    ///
    /// # Errors
    /// [`Failure::Refused`]: it is too late; [`Failure::Unknown`]: look the order up.
    pub async fn cancel_sub_order(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/sub_number_orders/{}/cancel", transport::segment(id));
        self.transport.send_once::<wire::Envelope<wire::SubOrder>>(self, Method::PATCH, &path, None).await.map(|_| ())
    }

    /// A number in the account's inventory, by exact E.164: Telnyx's filter matches parts of numbers too.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn find_number(&self, number: &E164) -> Result<Option<Owned>, Failure> {
        for page in 1_u32.. {
            let query = [
                ("filter[phone_number]", number.digits().to_owned()),
                ("page[size]", LARGEST_PAGE.to_owned()),
                ("page[number]", page.to_string()),
            ];
            let numbers: wire::Page<wire::Owned> = self.transport.get(self, "/phone_numbers", &query).await?;
            let is_last = numbers.is_last(page);
            if let Some(found) = numbers.data.into_iter().filter(|owned| owned.is_called(number)).find_map(wire::Owned::live) {
                return Ok(Some(found));
            }
            if is_last {
                break;
            }
        }
        Ok(None)
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
        let numbers: wire::Page<serde_json::Value> = self.transport.get(self, "/phone_numbers", &query).await?;
        Ok(InventoryPage {
            is_empty: numbers.data.is_empty(),
            total_pages: numbers.total_pages(),
            numbers: numbers.data.into_iter().filter_map(wire::Owned::read).collect(),
        })
    }

    /// A number by Telnyx's id of it: `GET /phone_numbers/{id}`; None where the account has none.
    ///
    /// # Errors
    /// See [`Failure`]; a number that cannot be read is no number that is not there.
    pub async fn number(&self, id: &str) -> Result<Option<Owned>, Failure> {
        let path = format!("/phone_numbers/{}", transport::segment(id));
        let number = failure::absent(self.transport.get::<wire::Envelope<wire::Owned>>(self, &path, &[]).await)?;
        let Some(number) = number.map(|number| number.data).filter(|number| !number.is_gone()) else { return Ok(None) };
        let unreadable = || Failure::Unknown(format!("Telnyx has a number {id} that cannot be read").into());
        number.live().map(Some).ok_or_else(unreadable)
    }

    /// Gives a number back: `DELETE /phone_numbers/{id}`. Doing it twice does no harm.
    ///
    /// # Errors
    /// See [`Failure`]; a number that is not there is [`Refusal::NotFound`].
    pub async fn delete_number(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/phone_numbers/{}", transport::segment(id));
        self.transport.send_once::<wire::Envelope<serde::de::IgnoredAny>>(self, Method::DELETE, &path, None).await.map(|_| ())
    }
}
