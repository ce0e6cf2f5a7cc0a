//! The answer to a purchase.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use lambda_http::http::StatusCode;
use lambda_http::http::header::HeaderValue;
use serde::Serialize;
use shared::error::Error;
use shared::idempotency::REPLAYED;
use shared::lambda::Answer;
use shared::model::{Actor, E164, Money, PhoneNumber, Status};
use shared::problem::Problem;
use shared::saga::{Bought, Quote, ending};
use shared::store::{Intent, Offer, Purchase, Store};
use uuid::Uuid;

use crate::request::Request;

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "PurchaseResult")
)]
pub(crate) struct Body {
    /// Whether no number failed.
    success: bool,
    /// Null if nothing was bought or checked only.
    order: Option<Order>,
    /// The numbers, in the order of the request.
    phone_numbers: Vec<Item>,
    /// The request's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_reference: Option<String>,
    /// Nothing was bought, only checked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    validate_only: bool,
    /// The outcomes in words.
    message: String,
}

/// A number that the agency holds or is buying, and its row.
type Held = (Bought, PhoneNumber);

/// Our own order: Telnyx has one for each number.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars"))]
struct Order {
    /// The id of the purchase.
    id: Uuid,
    /// `pending` while a number is.
    status: OrderStatus,
    /// How many of the numbers the agency holds or is buying.
    phone_numbers_count: usize,
    /// Whether Telnyx has every document that it requires.
    requirements_met: bool,
    /// When the purchase began.
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars"))]
#[serde(rename_all = "snake_case")]
enum OrderStatus {
    Pending,
    Success,
}

/// What became of one number of the request.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "PurchasedNumber")
)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "ten at the most")]
enum Item {
    /// The agency holds it.
    Purchased(HeldItem),
    /// The agency is buying it.
    Pending(HeldItem),
    /// Only checked: it could be bought, or the agency holds it.
    Valid(ValidItem),
    /// It is not bought.
    Failed(FailedItem),
}

/// The row of a number.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars", rename = "HeldNumber"))]
struct HeldItem {
    #[serde(flatten)]
    row: PhoneNumber,
    /// Telnyx's id of the order, which has this number alone.
    order_id: Option<String>,
}

/// A number, and what it would cost unless the agency has it.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "ValidNumber")
)]
struct ValidItem {
    /// The number in E.164.
    phone_number: E164,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    price: Option<QuotedPrice>,
}

/// A number, and why it is not bought.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "RefusedNumber")
)]
struct FailedItem {
    /// The number in E.164.
    phone_number: E164,
    /// The problem that the number would have been answered with alone.
    problem: Problem,
}

/// What a number costs.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars"))]
struct QuotedPrice {
    /// ISO 3166-1 alpha-2.
    country_code: String,
    /// Paid every month.
    monthly_cost: Option<Money>,
    /// Paid once.
    upfront_cost: Option<Money>,
    /// ISO 4217.
    currency: Option<String>,
}

/// 200 when every number is bought, 202 while one is pending, 207 when they are not all alike; a failure that all share
/// is the answer itself.
pub(crate) async fn bought(store: &Store, actor: &Actor, request: &Request, outcomes: Vec<Result<Bought, Error>>) -> Result<Answer, Error> {
    let outcomes = unless_all_failed_alike(with_rows(store, actor, outcomes).await?)?;
    let is_final = !outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(Error::retryable));
    let held: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    let pending = held.iter().filter(|(_, row)| row.status == Status::Pending).count();
    let order = order(&held, pending > 0);
    let replayed = !held.is_empty() && held.iter().all(|(bought, _)| bought.replayed);
    let failed = outcomes.len() - held.len();
    let message = message(held.len() - pending, pending, failed);
    let items = request.items.iter().zip(outcomes).map(|(wanted, outcome)| item(&wanted.number, outcome)).collect();
    let customer_reference = request.customer_reference.clone();
    let body = Body { success: failed == 0, order, phone_numbers: items, customer_reference, validate_only: false, message };
    let status = match (failed, pending) {
        (0, 0) => StatusCode::OK,
        (0, _) => StatusCode::ACCEPTED,
        _ => StatusCode::MULTI_STATUS,
    };
    let answer = Answer::ok(&body)?.with_status(status);
    let answer = if is_final && pending == 0 { answer } else { answer.not_final() };
    Ok(if replayed { answer.with_header(REPLAYED, HeaderValue::from_static("true")) } else { answer })
}

/// 200 when every number could be bought, 207 when they are not all alike; a failure that all share is the answer itself.
pub(crate) fn quoted(intents: &[Intent], quotes: Vec<Result<Quote, Error>>, customer_reference: Option<String>) -> Result<Answer, Error> {
    let quotes = unless_all_failed_alike(quotes)?;
    let failed = quotes.iter().filter(|quote| quote.is_err()).count();
    let message = format!("{} of {} phone numbers could be bought; none was.", quotes.len() - failed, quotes.len());
    let items = intents.iter().zip(quotes).map(|(intent, quote)| match quote {
        Ok(quote) => Item::Valid(ValidItem { phone_number: intent.number.clone(), price: quoted_price(quote) }),
        Err(error) => failure(&intent.number, &error),
    });
    let items = items.collect();
    let body = Body { success: failed == 0, order: None, phone_numbers: items, customer_reference, validate_only: true, message };
    Ok(Answer::ok(&body)?.with_status(if failed == 0 { StatusCode::OK } else { StatusCode::MULTI_STATUS }))
}

fn quoted_price(quote: Quote) -> Option<QuotedPrice> {
    match quote {
        Quote::Held => None,
        Quote::Offered(Offer { country_code, monthly_cost, upfront_cost, currency, .. }) => {
            Some(QuotedPrice { country_code, monthly_cost, upfront_cost, currency })
        }
    }
}

/// What was bought, with its row: as it was when this request made it live, otherwise as it is now.
async fn with_rows(store: &Store, actor: &Actor, outcomes: Vec<Result<Bought, Error>>) -> Result<Vec<Result<Held, Error>>, Error> {
    let unread = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).filter(|bought| bought.row.is_none());
    let ids: Vec<_> = unread.map(|bought| bought.row_id).collect();
    let rows = if ids.is_empty() { Vec::new() } else { store.numbers_of(actor, &ids).await? };
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let mut held = Vec::new();
    for outcome in outcomes {
        held.push(match outcome {
            Ok(mut bought) => {
                let row = bought.row.take().map_or_else(|| rows.remove(&bought.row_id), |row| Some(*row));
                with_row(store, bought, row).await?
            }
            Err(error) => Err(error),
        });
    }
    Ok(held)
}

/// An unfinished purchase whose row is released or gone has ended since it was last read: it is read again, and counts as
/// what it ended as. Without a row there is nothing to answer with: the agency was deleted, or an operator gave the number
/// to another one.
async fn with_row(store: &Store, mut bought: Bought, row: Option<PhoneNumber>) -> Result<Result<Held, Error>, Error> {
    let has_ended = row.as_ref().is_none_or(|row| row.status == Status::Released);
    if let Some(unfinished) = bought.purchase.as_ref().filter(|purchase| has_ended && !purchase.is_over()) {
        bought.purchase = store.purchase(unfinished.id).await?;
        if let Some(Err(error)) = bought.purchase.as_ref().and_then(ending) {
            return Ok(Err(error));
        }
    }
    Ok(row.map(|row| (bought, row)).ok_or(Error::NumberUnavailable))
}

fn unless_all_failed_alike<T>(outcomes: Vec<Result<T, Error>>) -> Result<Vec<Result<T, Error>>, Error> {
    let code = |outcome: &Result<T, Error>| outcome.as_ref().err().map(Error::code);
    let first = outcomes.first().and_then(code);
    if first.is_some() && outcomes.iter().all(|outcome| code(outcome) == first) {
        return outcomes.into_iter().collect::<Result<Vec<_>, _>>().map(|_| Vec::new());
    }
    Ok(outcomes)
}

fn order(held: &[&Held], pending: bool) -> Option<Order> {
    let purchases: Vec<_> = held.iter().filter_map(|(bought, _)| bought.purchase.as_ref()).collect();
    let first = purchases.first()?;
    Some(Order {
        id: first.order_id,
        status: if pending { OrderStatus::Pending } else { OrderStatus::Success },
        phone_numbers_count: held.len(),
        requirements_met: purchases.iter().all(|purchase| purchase.requirements_met == Some(true)),
        created_at: first.created_at,
    })
}

fn item(number: &E164, outcome: Result<Held, Error>) -> Item {
    match outcome {
        Ok((bought, row)) => {
            let is_pending = row.status == Status::Pending;
            let order_id = bought.purchase.as_ref().and_then(Purchase::telnyx_order_id).map(str::to_owned);
            let held = HeldItem { row, order_id };
            if is_pending { Item::Pending(held) } else { Item::Purchased(held) }
        }
        Err(error) => failure(number, &error),
    }
}

fn failure(number: &E164, error: &Error) -> Item {
    Item::Failed(FailedItem { phone_number: number.clone(), problem: Problem::from(error) })
}

fn message(purchased: usize, pending: usize, failed: usize) -> String {
    let counts = [(purchased, "purchased"), (pending, "pending"), (failed, "failed")];
    let parts: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    format!("Phone numbers: {}.", parts.join(", "))
}
