//! Errors in the domain's terms, and the table of their codes, statuses and titles.
//!
//! What callers see of an error is static text or made of their own input: [`crate::problem`]. The source of an error is for the
//! log alone.

use std::fmt;
use std::time::Duration;

use crate::model::Money;

/// The cause of an error, for the log alone.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A field of the input that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldError {
    /// The parameter or member, such as `phone_numbers[0].phone_number`.
    pub field: String,
    /// What is wrong with it: the end of a sentence that begins with the field.
    pub message: String,
}

/// What a number costs, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Each month.
    pub monthly: Option<Money>,
    /// Once.
    pub upfront: Option<Money>,
    /// ISO 4217, of both.
    pub currency: Option<String>,
}

/// A kind of error: what is the same for all errors of a variant.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The stable name that callers switch on.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The kind in a few words.
    pub title: &'static str,
    /// Whether the same request may succeed later without a change of anything.
    pub retryable: bool,
    /// Whether a purchase that was begun can fail with it.
    pub ends_purchase: bool,
    /// Whose failure it is, which decides how it is logged.
    pub blame: Blame,
}

/// Whose failure an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller's: logged as information.
    Caller,
    /// Telnyx's, or that of an account there: logged as a warning.
    Telnyx,
    /// Ours: logged as an error.
    Ours,
}

/// Declares [`Error`] and the table of its kinds: after each variant its status, code and title, then whether it is
/// `retryable` or `final`, whether it `ends_purchase`, and whose failure it is.
macro_rules! errors {
    ($(
        $(#[$doc:meta])*
        $variant:ident $(($payload:ty))? $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })?
            => $status:literal $code:literal $title:literal $retry:ident $($ends_purchase:ident)?, $blame:ident;
    )+) => {
        /// A request that did not succeed. Each variant says when to use it.
        #[derive(Debug)]
        pub enum Error {
            $(
                $(#[$doc])*
                $variant $(($payload))? $({ $($(#[$field_doc])* $field: $type),+ })?
            ),+
        }

        /// The kinds of error, in the order of the variants.
        pub const KINDS: &[Kind] = &[$(
            Kind {
                code: $code,
                status: $status,
                title: $title,
                retryable: errors!(@retry $retry),
                ends_purchase: errors!(@ends $($ends_purchase)?),
                blame: Blame::$blame,
            }
        ),+];

        impl Error {
            /// The row of the table for this error.
            #[must_use]
            pub const fn kind(&self) -> &'static Kind {
                #[allow(clippy::items_after_statements)]
                enum Index { $($variant),+ }
                &KINDS[match self { $(Self::$variant { .. } => Index::$variant as usize),+ }]
            }
        }
    };
    (@retry retryable) => { true };
    (@retry final) => { false };
    (@ends) => { false };
    (@ends ends_purchase) => { true };
}

errors! {
    /// The input breaks a rule; each field says which.
    InvalidRequest(Vec<FieldError>) => 400 "invalid_request" "Invalid request" final, Caller;
    /// A release was asked for without `confirm: true`.
    ConfirmationRequired => 400 "confirmation_required" "Confirmation required" final, Caller;
    /// Neither the agency nor the platform has a key for Telnyx.
    TelnyxNotConfigured => 400 "telnyx_not_configured" "Telnyx is not configured" final, Telnyx;
    /// The token is missing or does not verify; the text says which.
    Unauthorized(&'static str) => 401 "unauthorized" "Unauthorized" final, Caller;
    /// The account at Telnyx cannot pay.
    InsufficientFunds => 402 "insufficient_funds" "Insufficient funds" final ends_purchase, Telnyx;
    /// The user is known and lacks the permission; the text says why.
    Forbidden(&'static str) => 403 "forbidden" "Forbidden" final, Caller;
    /// The agency has as many numbers as it may have: this many.
    QuotaExceeded(i64) => 403 "quota_exceeded" "Quota exceeded" final, Caller;
    /// The agency has no such thing: it never existed, or it is another agency's.
    NotFound {
        /// What was looked for, such as `phone number`.
        what: &'static str,
        /// The input that named it.
        field: String,
    } => 404 "not_found" "Not found" final ends_purchase, Caller;
    /// The function does not take this method; lists those that it takes.
    MethodNotAllowed(&'static [&'static str]) => 405 "method_not_allowed" "Method not allowed" final, Caller;
    /// The number cannot be bought: it is not on offer, or another agency or customer has it.
    NumberUnavailable => 409 "number_unavailable" "Number unavailable" final ends_purchase, Caller;
    /// The number costs more than the request or the settings permit, or a limit was given and the price is unknown.
    PriceExceeded(Price) => 409 "price_exceeded" "Price exceeded" final ends_purchase, Caller;
    /// The number is released or being released, and takes no change.
    PhoneNumberReleased => 409 "phone_number_released" "Phone number released" final, Caller;
    /// The number's purchase is under way and cannot be stopped now.
    PurchaseInProgress => 409 "purchase_in_progress" "Purchase in progress" retryable, Caller;
    /// Telnyx does not delete the number, because of a deletion lock for example.
    NumberLocked => 409 "number_locked" "Number locked" final, Caller;
    /// The purchase was not ordered in time and is given up.
    PurchaseExpired => 409 "purchase_expired" "Purchase expired" final ends_purchase, Caller;
    /// A request with the same idempotency key is being processed; wait that long.
    RequestInProgress(Duration) => 409 "request_in_progress" "Request in progress" retryable, Caller;
    /// The row has changed since the caller read it.
    PreconditionFailed => 412 "precondition_failed" "Precondition failed" final, Caller;
    /// The body is larger than any request needs to be.
    PayloadTooLarge => 413 "payload_too_large" "Payload too large" final, Caller;
    /// `Content-Type` is not JSON.
    UnsupportedMediaType => 415 "unsupported_media_type" "Unsupported media type" final, Caller;
    /// The idempotency key was used for another request.
    IdempotencyKeyReused => 422 "idempotency_key_reused" "Idempotency key reused" final, Caller;
    /// Telnyx refused this request and would refuse it again.
    UpstreamRejected(Source) => 422 "upstream_rejected" "Rejected by Telnyx" final ends_purchase, Telnyx;
    /// Telnyx limits our requests, or the settings limit those of the user or agency; wait that long.
    RateLimited(Duration) => 429 "rate_limited" "Rate limited" retryable ends_purchase, Telnyx;
    /// A defect of ours.
    Internal(Source) => 500 "internal" "Internal error" retryable ends_purchase, Ours;
    /// Telnyx failed, or its answer cannot be understood; it bought and released nothing.
    Upstream(Source) => 502 "upstream_error" "Telnyx failed" retryable ends_purchase, Telnyx;
    /// Buying is switched off.
    PurchasesDisabled => 503 "purchases_disabled" "Purchases disabled" retryable ends_purchase, Caller;
    /// The database, a secret or a setting is missing or unreachable.
    Unavailable(Source) => 503 "unavailable" "Service unavailable" retryable ends_purchase, Ours;
}

impl Error {
    /// A problem with one field of the input.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The stable name that callers switch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code
    }

    /// Whether the same request may succeed later without a change of anything.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        self.kind().retryable
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::UpstreamRejected(source) | Self::Upstream(source) | Self::Unavailable(source) | Self::Internal(source) => {
                Some(source.as_ref())
            }
            _ => None,
        }
    }
}

/// `Retry-After` of a purchase that failed because of Telnyx's rate limit: the time that Telnyx asked for is not stored.
const RATE_LIMITED_EARLIER: Duration = Duration::from_secs(1);

impl Error {
    /// The error that a purchase failed with, from its code and its price in the ledger: the inverse of [`Error::code`] for
    /// errors that a purchase can fail with. None for any other code, also one of a newer version.
    #[must_use]
    pub fn of_failed_purchase(code: &str, price: Price) -> Option<Self> {
        let source = || format!("an earlier attempt failed: {code}").into();
        Some(match code {
            "insufficient_funds" => Self::InsufficientFunds,
            "not_found" => Self::NotFound { what: "agency", field: "agency_id".to_owned() },
            "number_unavailable" => Self::NumberUnavailable,
            "price_exceeded" => Self::PriceExceeded(price),
            "purchase_expired" => Self::PurchaseExpired,
            "purchases_disabled" => Self::PurchasesDisabled,
            "upstream_rejected" => Self::UpstreamRejected(source()),
            "rate_limited" => Self::RateLimited(RATE_LIMITED_EARLIER),
            "upstream_error" => Self::Upstream(source()),
            "unavailable" => Self::Unavailable(source()),
            "internal" => Self::Internal(source()),
            _ => return None,
        })
    }
}

/// An error and everything behind it on one line, for the log.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = loggable(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let text = loggable(cause);
        // Many errors already print what caused them.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

/// What an error says, without what it quotes: `serde_json` repeats values of its input, and Postgres repeats rows in the lines
/// after the first.
fn loggable(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<serde_json::Error>() {
        Some(error) => format!("JSON error of category {:?} at line {}, column {}", error.classify(), error.line(), error.column()),
        None => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// The code and the chain of causes, for the log; callers get a [`crate::problem`].
impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(self) {
            Some(source) => write!(formatter, "{}: {}", self.code(), chain(source)),
            None => formatter.write_str(self.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_price() -> Price {
        Price { monthly: None, upfront: None, currency: None }
    }

    #[test]
    fn every_error_that_can_end_a_purchase_is_read_back_from_its_code() {
        for kind in KINDS {
            let again = Error::of_failed_purchase(kind.code, no_price());
            let expected = kind.ends_purchase.then_some(kind);
            assert_eq!(again.as_ref().map(Error::kind), expected, "{}", kind.code);
        }
        let codes: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), KINDS.len(), "each code stands for one kind");
        for unknown in ["", "not_a_code", "Rate_limited"] {
            assert!(Error::of_failed_purchase(unknown, no_price()).is_none(), "{unknown}");
        }
    }

    #[test]
    fn the_price_of_a_purchase_that_was_too_expensive_is_read_back() {
        let price = Price { monthly: Some(Money(2.into())), upfront: None, currency: Some("USD".to_owned()) };
        let again = Error::of_failed_purchase("price_exceeded", price.clone());
        assert!(matches!(again, Some(Error::PriceExceeded(found)) if found == price));
    }

    #[test]
    fn an_error_does_not_show_the_input_that_it_is_about() {
        for text in [r#"{"code": "hunter2"}"#, r#"{"hunter2"}"#, r#""hunter2""#] {
            let Err(error) = serde_json::from_str::<std::collections::BTreeMap<String, u8>>(text) else { continue };
            let shown = Error::Upstream(Box::new(error)).to_string();
            assert!(shown.starts_with("upstream_error: JSON error of category ") && !shown.contains("hunter2"), "{shown}");
        }
        let two_lines = Error::Internal("duplicate key value\nDETAIL: Key (name)=(hunter2) already exists.".into());
        assert_eq!(two_lines.to_string(), "internal: duplicate key value");
    }

    #[test]
    fn an_error_shows_its_code_and_every_cause_once() {
        let inner = Error::Unavailable("the disk is full".into());
        let outer = Error::Internal(Box::new(inner));
        assert_eq!(outer.to_string(), "internal: unavailable: the disk is full");
        assert_eq!(chain(&outer), outer.to_string());
    }
}
