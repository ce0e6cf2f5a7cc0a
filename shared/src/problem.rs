//! An [`Error`] as a problem document (RFC 9457).

use lambda_http::http::StatusCode;
use lambda_http::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::{Body, Response};
use serde::Serialize;

use crate::error::{Error, FieldError, Price};
use crate::model::Money;

/// How many wrong fields a problem lists.
const MOST_FIELDS: usize = 20;
/// How many characters of a field's name are shown. Our own names are shorter.
const LONGEST_FIELD: usize = 100;

/// The body of every answer that is not a success, and of every failed item of a partial success.
///
/// `error` repeats `detail`, since the documented functions have that member.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A URN that names the kind of problem.
    pub r#type: String,
    /// The kind of problem in a few words, the same for all of its kind.
    pub title: &'static str,
    /// The HTTP status, or the one it would have had alone.
    pub status: u16,
    /// What happened here, as one sentence.
    pub detail: String,
    /// The stable name to switch on.
    #[cfg_attr(feature = "schema", schemars(schema_with = "codes"))]
    pub code: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The request's id, to find it in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is wrong with the input, field by field: the first twenty, of which `detail` tells if there are more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The text of `detail`.
    pub error: String,
}

/// The codes that there are.
#[cfg(feature = "schema")]
fn codes(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let codes: Vec<_> = crate::error::KINDS.iter().map(|kind| kind.code).collect();
    schemars::json_schema!({"type": "string", "enum": codes})
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (kind, detail) = (error.kind(), detail(error));
        Self {
            r#type: format!("urn:problem-type:phone-numbers:{}", kind.code),
            title: kind.title,
            status: kind.status,
            detail: detail.clone(),
            code: kind.code,
            retryable: kind.retryable,
            request_id: None,
            errors: fields(error),
            error: detail,
        }
    }
}

/// The HTTP status that an error is answered with.
#[must_use]
pub fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.kind().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A problem of every kind, for the document.
#[cfg(feature = "schema")]
#[must_use]
pub fn examples() -> Vec<Problem> {
    use std::time::Duration;

    let (wait, source) = (Duration::from_secs(5), || "an example".into());
    let price = Price { monthly: "3.00".parse().ok(), upfront: "1.00".parse().ok(), currency: Some("USD".to_owned()) };
    let errors = [
        Error::invalid("limit", "must be a whole number from 1 to 200"),
        Error::ConfirmationRequired,
        Error::TelnyxNotConfigured,
        Error::Unauthorized("The token has expired."),
        Error::InsufficientFunds,
        Error::Forbidden("This user's role does not permit this."),
        Error::QuotaExceeded(25),
        Error::NotFound { what: "phone number", field: "id".to_owned() },
        Error::MethodNotAllowed(&["GET"]),
        Error::NumberUnavailable,
        Error::PriceExceeded(price),
        Error::PhoneNumberReleased,
        Error::PurchaseInProgress,
        Error::NumberLocked,
        Error::PurchaseExpired,
        Error::RequestInProgress(wait),
        Error::PreconditionFailed,
        Error::PayloadTooLarge,
        Error::UnsupportedMediaType,
        Error::IdempotencyKeyReused,
        Error::UpstreamRejected(source()),
        Error::RateLimited(wait),
        Error::Internal(source()),
        Error::Upstream(source()),
        Error::PurchasesDisabled,
        Error::Unavailable(source()),
    ];
    let problem = |error| Problem { request_id: Some("5e8c6f6a-0d2b-4a33-9c52-7b1f5b0f1c11".to_owned()), ..Problem::from(error) };
    errors.iter().map(problem).collect()
}

fn detail(error: &Error) -> String {
    match error {
        Error::InvalidRequest(fields) => match fields.first().map(shown) {
            Some(first) if fields.len() > MOST_FIELDS => {
                format!(
                    "{} {}. This is the first of {} errors, {MOST_FIELDS} of which are listed.",
                    first.field,
                    first.message,
                    fields.len()
                )
            }
            Some(first) => format!("{} {}.", first.field, first.message),
            None => "The request is not valid.".to_owned(),
        },
        Error::ConfirmationRequired => "Releasing a number cannot be undone: send \"confirm\": true.".to_owned(),
        Error::TelnyxNotConfigured => "No Telnyx API key is configured for this agency.".to_owned(),
        Error::Unauthorized(reason) | Error::Forbidden(reason) => (*reason).to_owned(),
        Error::InsufficientFunds => "The Telnyx account's balance does not cover this purchase.".to_owned(),
        Error::NotFound { what, .. } => format!("There is no such {what}."),
        Error::MethodNotAllowed(methods) => format!("This function takes {}.", methods.join(", ")),
        Error::NumberUnavailable => "This number cannot be bought: it is not on offer, or another agency or customer has it.".to_owned(),
        Error::PriceExceeded(price) => format!("This number costs {}, which is not within the limit.", in_words(price)),
        Error::QuotaExceeded(quota) => format!("This agency may have {quota} phone numbers, and has no room for another."),
        Error::PhoneNumberReleased => "This number has been released.".to_owned(),
        Error::PurchaseInProgress => "This number's purchase is still under way and cannot be stopped now.".to_owned(),
        Error::NumberLocked => {
            "Telnyx does not delete this number: its deletion lock has to be removed in Telnyx's portal first.".to_owned()
        }
        Error::PurchaseExpired => "This number was not ordered in time and is not being bought any more: buy it again.".to_owned(),
        Error::PreconditionFailed => "This number has changed since it was read: read it again.".to_owned(),
        Error::RequestInProgress(_) => "A request with this idempotency key is being worked on: ask again later.".to_owned(),
        Error::IdempotencyKeyReused => "This idempotency key was used for another request.".to_owned(),
        Error::PurchasesDisabled => "Buying phone numbers is switched off at the moment.".to_owned(),
        Error::PayloadTooLarge => "The request's body is too large.".to_owned(),
        Error::UnsupportedMediaType => "The request's body must be application/json.".to_owned(),
        Error::UpstreamRejected(_) => "Telnyx refused this request and would refuse it again.".to_owned(),
        Error::RateLimited(_) => "There are too many requests: try again later.".to_owned(),
        Error::Internal(_) => "Something went wrong on our side.".to_owned(),
        Error::Upstream(_) => "Telnyx could not be reached or answered with an error.".to_owned(),
        Error::Unavailable(_) => "The service is unavailable at the moment: try again later.".to_owned(),
    }
}

fn in_words(price: &Price) -> String {
    let amount = |amount: Option<Money>| amount.map_or_else(|| "an unknown amount".to_owned(), |amount| amount.to_string());
    let currency = price.currency.as_deref().unwrap_or("an unknown currency");
    format!("{} a month and {} once, in {currency}", amount(price.monthly), amount(price.upfront))
}

fn fields(error: &Error) -> Vec<FieldError> {
    match error {
        Error::InvalidRequest(fields) => fields.iter().take(MOST_FIELDS).map(shown).collect(),
        Error::NotFound { what, field } => vec![FieldError { field: field.clone(), message: format!("names no {what}") }],
        _ => Vec::new(),
    }
}

/// A field with a name of bearable length: that of an unknown member is the caller's, and can be as long as the body.
fn shown(error: &FieldError) -> FieldError {
    let FieldError { field, message } = error;
    let field = match field.char_indices().nth(LONGEST_FIELD) {
        Some((end, _)) => format!("{}…", &field[..end]),
        None => field.clone(),
    };
    FieldError { field, message: message.clone() }
}

/// The answer to a request that failed.
#[must_use]
pub fn response(error: &Error, request_id: &str) -> Response<Body> {
    let problem = Problem { request_id: Some(request_id.to_owned()), ..Problem::from(error) };
    let mut response = Response::new(Body::from(serde_json::to_string(&problem).unwrap_or_default()));
    *response.status_mut() = status(error);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    match error {
        Error::MethodNotAllowed(methods) => {
            if let Ok(allow) = methods.join(", ").parse() {
                headers.insert(ALLOW, allow);
            }
        }
        Error::Unauthorized(_) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::RateLimited(wait) | Error::RequestInProgress(wait) => {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, seconds.max(1).into());
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(names: impl Iterator<Item = String>) -> Problem {
        let fields = names.map(|field| FieldError { field, message: "is wrong".to_owned() }).collect();
        Problem::from(&Error::InvalidRequest(fields))
    }

    #[test]
    fn twenty_wrong_fields_are_listed_and_the_rest_is_counted() {
        let few = problem((0..20).map(|at| at.to_string()));
        assert_eq!((few.errors.len(), few.detail.as_str()), (20, "0 is wrong."));
        let many = problem((0..57).map(|at| at.to_string()));
        assert_eq!((many.errors.len(), many.errors[19].field.as_str()), (20, "19"));
        assert_eq!(many.detail, "0 is wrong. This is the first of 57 errors, 20 of which are listed.");
        assert_eq!(many.error, many.detail);
    }

    #[test]
    fn a_name_as_long_as_a_body_is_cut_off() {
        let cut = format!("{}…", "ü".repeat(100));
        let long = problem(["ü".repeat(30_000)].into_iter());
        assert_eq!((&long.errors[0].field, long.detail), (&cut, format!("{cut} is wrong.")));
        assert_eq!(problem(["ü".repeat(100)].into_iter()).errors[0].field, "ü".repeat(100));
    }
}
