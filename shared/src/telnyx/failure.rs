//! Failed calls: what they may have done decides what may be done next.

use std::time::Duration;

use super::ids::is_plain;
use super::json::{Json, Object};
use crate::error::{Error, Source};

/// More characters than a code has: they have five.
const LONGEST_CODE: usize = 10;
/// More errors than one response explains.
const MOST_CODES: usize = 20;

/// Why a call failed, by what it may have done.
#[derive(Debug)]
pub enum Failure {
    /// The request was not sent. Nothing happened.
    NotSent(Source),
    /// Telnyx refused. Nothing happened.
    Refused(Refusal),
    /// It may have happened: a time-out, a lost connection, a 5xx, or a response that cannot be read.
    Unknown(Source),
}

impl Failure {
    /// The cause, for the log.
    #[must_use]
    pub fn into_source(self) -> Source {
        match self {
            Self::NotSent(source) | Self::Unknown(source) => source,
            Self::Refused(refusal) => format!("Telnyx refused: {refusal:?}").into(),
        }
    }

    /// How long the account must wait, if Telnyx rate-limits it.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused(Refusal::RateLimited(wait)) => Some(*wait),
            _ => None,
        }
    }
}

/// Why Telnyx refused.
#[derive(Debug)]
pub enum Refusal {
    /// The number is taken, or was not searched for recently. The account may have it already: look it up.
    NumberUnavailable(Source),
    /// The account has not enough money.
    InsufficientFunds,
    /// Too many calls: the account must wait that long.
    RateLimited(Duration),
    /// The request is invalid: a search refused with 400 or 422, or an order refused with 400 and code 10015, which Telnyx has
    /// used for numbers that were no longer available.
    BadRequest(Source),
    /// The resource does not exist.
    NotFound(Source),
    /// The API key is invalid, or the account lacks the permission.
    NotPermitted(Source),
    /// The number is locked against deletion (10035).
    Locked(Source),
    /// Any other refusal. The same request would be refused again.
    Rejected(Source),
}

impl Failure {
    /// Whether Telnyx refuses the request itself, and not the key, the account or the rate of calls.
    #[must_use]
    pub const fn refuses_request(&self) -> bool {
        matches!(self, Self::Refused(Refusal::BadRequest(_) | Refusal::NotFound(_) | Refusal::Rejected(_) | Refusal::NumberUnavailable(_)))
    }
}

impl From<Failure> for Error {
    /// For calls that buy nothing. A refused search is the caller's to correct, since the caller chose its filters; a refusal of
    /// any other look-up is not.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(Refusal::RateLimited(wait)) => Self::RateLimited(wait),
            Failure::Refused(Refusal::InsufficientFunds) => Self::InsufficientFunds,
            Failure::Refused(Refusal::BadRequest(source)) => Self::UpstreamRejected(source),
            Failure::NotSent(source)
            | Failure::Unknown(source)
            | Failure::Refused(
                Refusal::NumberUnavailable(source)
                | Refusal::NotFound(source)
                | Refusal::NotPermitted(source)
                | Refusal::Locked(source)
                | Refusal::Rejected(source),
            ) => Self::Upstream(source),
        }
    }
}

/// What a call is for. Some refusals mean different things for different calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Searching for numbers for sale.
    Search,
    /// Ordering a number.
    Order,
    /// Anything else.
    Other,
}

/// Telnyx's codes for an API key: malformed or absent, not found, revoked, expired, bad.
const KEY_REFUSED: [&str; 5] = ["10009", "20001", "20002", "20006", "20008"];

/// Whether Telnyx refused the API key, and so did nothing.
pub(super) fn refuses_key(status: u16, codes: &[String]) -> bool {
    let refused = || codes.iter().any(|code| KEY_REFUSED.contains(&code.as_str()));
    status == 401 || (matches!(status, 400 | 403) && refused())
}

/// Turns [`Refusal::NotFound`] into `None`.
pub(super) fn none_if_not_found<T>(outcome: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Refused(Refusal::NotFound(_))) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Classifies a response that is not a success by its status and Telnyx's codes
/// (<https://developers.telnyx.com/docs/overview/errors>).
///
/// Not every code is documented with a status, so a known code decides before the status does.
pub(super) fn refusal(purpose: Purpose, status: u16, codes: &[String], wait: Duration) -> Failure {
    let source = || -> Source { format!("Telnyx answered {status} with codes [{}]", codes.join(", ")).into() };
    let has = |wanted: &[&str]| codes.iter().any(|code| wanted.contains(&code.as_str()));
    match status {
        408 | 500.. => return Failure::Unknown(source()),
        429 => return Failure::Refused(Refusal::RateLimited(wait)),
        _ => {}
    }
    let refusal = if has(&["85000", "85001", "85006"]) {
        // Never searched for, not available, reserved by another account.
        Refusal::NumberUnavailable(source())
    } else if has(&["20100", "20012"]) || status == 402 {
        // Insufficient funds; account inactive because of them.
        Refusal::InsufficientFunds
    } else if has(&["10011"]) {
        Refusal::RateLimited(wait)
    } else if status == 401 || has(&KEY_REFUSED) || has(&["10010", "20003"]) {
        Refusal::NotPermitted(source())
    } else if purpose == Purpose::Order && status == 400 && has(&["10015"]) {
        Refusal::BadRequest(source())
    } else if has(&["10035"]) {
        Refusal::Locked(source())
    } else if status == 404 {
        Refusal::NotFound(source())
    } else if status >= 400 {
        Refusal::Rejected(source())
    } else {
        return Failure::Unknown(source());
    };
    Failure::Refused(match refusal {
        Refusal::NumberUnavailable(source) | Refusal::Rejected(source) if purpose == Purpose::Search && matches!(status, 400 | 422) => {
            Refusal::BadRequest(source)
        }
        refusal => refusal,
    })
}

/// The error codes in a refusal: text in the API for numbers, integers elsewhere. Anything else is left out, since codes are
/// logged.
pub(super) fn codes(document: &Object<'_>) -> Vec<String> {
    let code = |json: Json<'_>| json.id().filter(|code| is_plain(code, LONGEST_CODE));
    document.list("errors", MOST_CODES, |error| error.object()?.get("code", code)).readable()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::super::json::Unread;
    use super::*;

    #[test]
    fn what_does_not_look_like_a_code_is_none() {
        let cases = [
            (json!({"errors": [{"code": "85001"}, {"code": 10009}]}), vec!["85001", "10009"]),
            (
                json!({"errors": [null, "x", {}, {"code": {}}, {"code": "<b>"}, {"code": "a\u{0}"}, {"code": "x".repeat(11)}, {"code": "7"}]}),
                vec!["7"],
            ),
            (json!({"errors": {"code": "85001"}}), vec![]),
            (json!({"errors": "85001"}), vec![]),
            (json!({"errors": vec![json!({"code": "1"}); 100]}), vec!["1"; 20]),
        ];
        for (document, expected) in cases {
            let (text, unread) = (document.to_string(), Unread::default());
            assert_eq!(codes(&Object::parse(&text, &unread).unwrap()), expected, "{document}");
        }
    }

    fn classified(status: u16, code: &str) -> Failure {
        refusal(Purpose::Other, status, &[code.to_owned()], Duration::from_secs(1))
    }

    #[test]
    fn the_code_tells_more_than_the_status() {
        for status in [400, 409, 422] {
            assert!(matches!(classified(status, "85001"), Failure::Refused(Refusal::NumberUnavailable(_))));
        }
        for (status, code) in [(403, "20100"), (402, ""), (403, "20012")] {
            assert!(matches!(classified(status, code), Failure::Refused(Refusal::InsufficientFunds)));
        }
        assert!(matches!(classified(401, "10009"), Failure::Refused(Refusal::NotPermitted(_))));
        assert!(matches!(classified(404, "10005"), Failure::Refused(Refusal::NotFound(_))));
        assert!(matches!(classified(422, "10035"), Failure::Refused(Refusal::Locked(_))));
        assert!(matches!(classified(422, "85004"), Failure::Refused(Refusal::Rejected(_))));
        assert!(matches!(classified(429, "10011"), Failure::Refused(Refusal::RateLimited(_))));
    }

    #[test]
    fn a_search_is_refused_for_what_it_asks_by_400_and_422_alone() {
        let refused = |purpose, status, code: &str| {
            let failure = refusal(purpose, status, &[code.to_owned()], Duration::from_secs(1));
            matches!(failure, Failure::Refused(Refusal::BadRequest(_)))
        };
        for (status, code) in [(400, "10015"), (400, ""), (400, "10031"), (422, "10027"), (422, ""), (422, "85000")] {
            assert!(refused(Purpose::Search, status, code), "{status} {code}");
            assert!(!refused(Purpose::Other, status, code), "{status} {code}");
            assert_eq!(refused(Purpose::Order, status, code), status == 400 && code == "10015", "{status} {code}");
        }
        for (status, code) in [
            (400, "10009"),
            (422, "10010"),
            (400, "20002"),
            (401, ""),
            (403, "10015"),
            (404, "10015"),
            (409, "85001"),
            (422, "10011"),
            (400, "20100"),
        ] {
            assert!(!refused(Purpose::Search, status, code), "{status} {code}");
        }
    }

    #[test]
    fn a_refused_key_is_not_a_key_that_may_not() {
        let refuses = |status, code: &str| refuses_key(status, &[code.to_owned()]);
        for (status, code) in [(401, "10009"), (401, ""), (403, "20002"), (400, "20006")] {
            assert!(refuses(status, code), "{status} {code}");
        }
        for (status, code) in
            [(403, "10010"), (403, "20003"), (403, "20100"), (408, "20001"), (429, "20001"), (500, "10009"), (200, "10009")]
        {
            assert!(!refuses(status, code), "{status} {code}");
        }
    }

    #[test]
    fn a_refused_request_is_neither_a_refused_key_nor_a_limited_rate() {
        for (status, code) in [(400, "10015"), (422, "10027"), (404, "10005"), (400, "")] {
            assert!(classified(status, code).refuses_request(), "{status} {code}");
        }
        for (status, code) in [(401, "10009"), (403, "10010"), (429, "10011"), (403, "20100"), (500, "10007"), (408, "")] {
            assert!(!classified(status, code).refuses_request(), "{status} {code}");
        }
    }

    #[test]
    fn what_may_have_happened_is_unknown() {
        for status in [408, 500, 502, 503, 504, 302, 599] {
            assert!(matches!(classified(status, "10007"), Failure::Unknown(_)), "{status}");
        }
    }
}
