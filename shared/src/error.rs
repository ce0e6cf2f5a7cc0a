//! Everything that can go wrong, in the domain's words.
//!
//! What a caller is told of an error is static text or built from the caller's own input. The error behind it, if any,
//! is kept for the log and by its type cannot be rendered to a caller.

use std::fmt;
use std::time::Duration;

use crate::model::Money;

/// What stood behind an error, for the log alone.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// One thing wrong with the input, and where.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// The parameter or member, such as `phone_numbers[0].phone_number`.
    pub field: String,
    /// What is wrong with it, as the end of a sentence that begins with the field.
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

/// A request that did not succeed. Each variant says when to use it.
#[derive(Debug)]
pub enum Error {
    /// The input breaks a rule that its fields name.
    InvalidRequest(Vec<FieldError>),
    /// A release was asked for without `confirm: true`.
    ConfirmationRequired,
    /// Neither the agency nor the platform has a key for Telnyx.
    TelnyxNotConfigured,
    /// There is no token, or it proves nothing; the text says which.
    Unauthorized(&'static str),
    /// The user is known and may not do this; the text says why.
    Forbidden(&'static str),
    /// The account at Telnyx cannot pay.
    InsufficientFunds,
    /// What was named is not there for this agency: never there, or another's. Names the thing and the field.
    NotFound {
        /// What was looked for, such as `phone number`.
        what: &'static str,
        /// The input that named it.
        field: String,
    },
    /// The function has no such method; lists those it has.
    MethodNotAllowed(&'static [&'static str]),
    /// The number cannot be bought: not on offer, or somebody holds it.
    NumberUnavailable,
    /// The number costs more than the caller wants to pay, or what it costs cannot be known.
    PriceExceeded(Price),
    /// The agency has as many numbers as it may have.
    QuotaExceeded(i64),
    /// The number has been released, or is being released, and takes no change.
    PhoneNumberReleased,
    /// The number's purchase is under way and cannot be stopped now.
    PurchaseInProgress,
    /// Telnyx does not delete the number: it is locked against deletion, say.
    NumberLocked,
    /// The purchase was never ordered in time, and is not wanted any more.
    PurchaseExpired,
    /// The caller wants to change a row as they have read it, and it has changed since.
    PreconditionFailed,
    /// A request with the same idempotency key is being worked on; wait that long.
    RequestInProgress(Duration),
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// Buying is switched off.
    PurchasesDisabled,
    /// The body is larger than any request of ours needs to be.
    PayloadTooLarge,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// Telnyx refused this very request and would again.
    UpstreamRejected(Source),
    /// Telnyx limits us; wait that long.
    RateLimited(Duration),
    /// Telnyx failed, or answered what cannot be understood; nothing was bought or released by it.
    Upstream(Source),
    /// Something of ours is missing or unreachable: the database, a secret, a setting.
    Unavailable(Source),
    /// A defect of ours.
    Internal(Source),
}

impl Error {
    /// A problem with one field of the input.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The stable name callers switch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::ConfirmationRequired => "confirmation_required",
            Self::TelnyxNotConfigured => "telnyx_not_configured",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::InsufficientFunds => "insufficient_funds",
            Self::NotFound { .. } => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NumberUnavailable => "number_unavailable",
            Self::PriceExceeded(_) => "price_exceeded",
            Self::QuotaExceeded(_) => "quota_exceeded",
            Self::PhoneNumberReleased => "phone_number_released",
            Self::PurchaseInProgress => "purchase_in_progress",
            Self::NumberLocked => "number_locked",
            Self::PurchaseExpired => "purchase_expired",
            Self::PreconditionFailed => "precondition_failed",
            Self::RequestInProgress(_) => "request_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::PurchasesDisabled => "purchases_disabled",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UpstreamRejected(_) => "upstream_rejected",
            Self::RateLimited(_) => "rate_limited",
            Self::Upstream(_) => "upstream_error",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::PurchaseInProgress
            | Self::RequestInProgress(_)
            | Self::PurchasesDisabled
            | Self::RateLimited(_)
            | Self::Upstream(_)
            | Self::Unavailable(_)
            | Self::Internal(_) => true,
            Self::InvalidRequest(_)
            | Self::ConfirmationRequired
            | Self::TelnyxNotConfigured
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::InsufficientFunds
            | Self::NotFound { .. }
            | Self::MethodNotAllowed(_)
            | Self::NumberUnavailable
            | Self::PriceExceeded(_)
            | Self::QuotaExceeded(_)
            | Self::PhoneNumberReleased
            | Self::NumberLocked
            | Self::PurchaseExpired
            | Self::PreconditionFailed
            | Self::IdempotencyKeyReused
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::UpstreamRejected(_) => false,
        }
    }

    /// What stood behind it, for the log.
    #[must_use]
    pub const fn source(&self) -> Option<&Source> {
        match self {
            Self::UpstreamRejected(source) | Self::Upstream(source) | Self::Unavailable(source) | Self::Internal(source) => Some(source),
            Self::InvalidRequest(_)
            | Self::ConfirmationRequired
            | Self::TelnyxNotConfigured
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::InsufficientFunds
            | Self::NotFound { .. }
            | Self::MethodNotAllowed(_)
            | Self::NumberUnavailable
            | Self::PriceExceeded(_)
            | Self::QuotaExceeded(_)
            | Self::PhoneNumberReleased
            | Self::PurchaseInProgress
            | Self::NumberLocked
            | Self::PurchaseExpired
            | Self::PreconditionFailed
            | Self::RequestInProgress(_)
            | Self::IdempotencyKeyReused
            | Self::PurchasesDisabled
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::RateLimited(_) => None,
        }
    }
}

/// How long a caller waits before it repeats a purchase that Telnyx's rate limit ended: how long Telnyx asked for is not kept.
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
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Many errors already print what caused them.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

/// For the log and for tests; callers are answered through [`crate::problem`].
impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source() {
            Some(source) => write!(formatter, "{}: {}", self.code(), chain(source.as_ref())),
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

    /// The kind of error after this one, and None after the last. Without a wildcard: a new kind does not compile before it
    /// has its place here.
    fn next(error: &Error) -> Option<Error> {
        let source = || "a source".into();
        Some(match error {
            Error::InvalidRequest(_) => Error::ConfirmationRequired,
            Error::ConfirmationRequired => Error::TelnyxNotConfigured,
            Error::TelnyxNotConfigured => Error::Unauthorized(""),
            Error::Unauthorized(_) => Error::Forbidden(""),
            Error::Forbidden(_) => Error::InsufficientFunds,
            Error::InsufficientFunds => Error::NotFound { what: "agency", field: String::new() },
            Error::NotFound { .. } => Error::MethodNotAllowed(&[]),
            Error::MethodNotAllowed(_) => Error::NumberUnavailable,
            Error::NumberUnavailable => Error::PriceExceeded(no_price()),
            Error::PriceExceeded(_) => Error::QuotaExceeded(0),
            Error::QuotaExceeded(_) => Error::PhoneNumberReleased,
            Error::PhoneNumberReleased => Error::PurchaseInProgress,
            Error::PurchaseInProgress => Error::NumberLocked,
            Error::NumberLocked => Error::PurchaseExpired,
            Error::PurchaseExpired => Error::PreconditionFailed,
            Error::PreconditionFailed => Error::RequestInProgress(Duration::ZERO),
            Error::RequestInProgress(_) => Error::IdempotencyKeyReused,
            Error::IdempotencyKeyReused => Error::PurchasesDisabled,
            Error::PurchasesDisabled => Error::PayloadTooLarge,
            Error::PayloadTooLarge => Error::UnsupportedMediaType,
            Error::UnsupportedMediaType => Error::UpstreamRejected(source()),
            Error::UpstreamRejected(_) => Error::RateLimited(Duration::ZERO),
            Error::RateLimited(_) => Error::Upstream(source()),
            Error::Upstream(_) => Error::Unavailable(source()),
            Error::Unavailable(_) => Error::Internal(source()),
            Error::Internal(_) => return None,
        })
    }

    /// Whether a purchase can fail with it: once it is begun, and because of Telnyx or of ourselves, not of the request.
    fn can_end_a_purchase(error: &Error) -> bool {
        match error {
            Error::InsufficientFunds
            | Error::NotFound { .. }
            | Error::NumberUnavailable
            | Error::PriceExceeded(_)
            | Error::PurchaseExpired
            | Error::PurchasesDisabled
            | Error::UpstreamRejected(_)
            | Error::RateLimited(_)
            | Error::Upstream(_)
            | Error::Unavailable(_)
            | Error::Internal(_) => true,
            Error::InvalidRequest(_)
            | Error::ConfirmationRequired
            | Error::TelnyxNotConfigured
            | Error::Unauthorized(_)
            | Error::Forbidden(_)
            | Error::MethodNotAllowed(_)
            | Error::QuotaExceeded(_)
            | Error::PhoneNumberReleased
            | Error::PurchaseInProgress
            | Error::NumberLocked
            | Error::PreconditionFailed
            | Error::RequestInProgress(_)
            | Error::IdempotencyKeyReused
            | Error::PayloadTooLarge
            | Error::UnsupportedMediaType => false,
        }
    }

    #[test]
    fn every_error_that_can_end_a_purchase_is_read_back_from_its_code() {
        let kinds: Vec<_> = std::iter::successors(Some(Error::InvalidRequest(Vec::new())), next).collect();
        for error in &kinds {
            let again = Error::of_failed_purchase(error.code(), no_price());
            let expected = can_end_a_purchase(error).then(|| (error.code(), error.retryable()));
            assert_eq!(again.map(|again| (again.code(), again.retryable())), expected, "{error}");
        }
        let codes: std::collections::BTreeSet<_> = kinds.iter().map(Error::code).collect();
        assert_eq!(codes.len(), kinds.len(), "each code stands for one kind");
        for unknown in ["", "not_a_code", "Rate_limited"] {
            assert!(Error::of_failed_purchase(unknown, no_price()).is_none(), "{unknown}");
        }
    }

    #[test]
    fn a_price_that_was_too_high_is_told_again() {
        let price = Price { monthly: Some(Money(2.into())), upfront: None, currency: Some("USD".to_owned()) };
        let again = Error::of_failed_purchase("price_exceeded", price.clone());
        assert!(matches!(again, Some(Error::PriceExceeded(told)) if told == price));
    }
}
