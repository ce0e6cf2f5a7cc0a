//! What a call that did not succeed may have done, which decides what may be done next.

use std::time::Duration;

use crate::error::{Error, Source};

/// A call that did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// It never left us: nothing happened.
    NotSent(Source),
    /// Telnyx said no: nothing happened.
    Refused(Refusal),
    /// It may have happened: a time-out, a lost connection, a 5xx, an answer that cannot be understood.
    Unknown(Source),
}

impl Failure {
    /// What stood behind it, for the log.
    #[must_use]
    pub fn into_source(self) -> Source {
        match self {
            Self::NotSent(source) | Self::Unknown(source) => source,
            Self::Refused(refusal) => format!("Telnyx refused: {refusal:?}").into(),
        }
    }

    /// How long Telnyx wants to be left alone, if that is what it said.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused(Refusal::RateLimited(wait)) => Some(*wait),
            _ => None,
        }
    }
}

/// Why Telnyx said no.
#[derive(Debug)]
pub enum Refusal {
    /// The number is not to be had: taken, or not searched for lately. It may be ours already: look.
    NumberUnavailable(Source),
    /// The account cannot pay.
    InsufficientFunds,
    /// Too many calls; wait that long.
    RateLimited(Duration),
    /// Telnyx refuses what was asked for: a search with 400 or 422, or an order with 400 and code 10015, which Telnyx has used
    /// for numbers that were gone.
    BadRequest(Source),
    /// There is no such thing.
    NotFound(Source),
    /// The key is wrong, or the account may not.
    NotPermitted(Source),
    /// The number is locked against deletion (10035).
    Locked(Source),
    /// This request will never do.
    Rejected(Source),
}

impl Failure {
    /// Whether Telnyx refuses this very request and would again: not the key, the account or the rate of calls.
    #[must_use]
    pub const fn refuses_request(&self) -> bool {
        matches!(self, Self::Refused(Refusal::BadRequest(_) | Refusal::NotFound(_) | Refusal::Rejected(_) | Refusal::NumberUnavailable(_)))
    }
}

impl From<Failure> for Error {
    /// For calls that buy nothing. A search asks for what the caller wants, so that its refusal is the caller's to act on; what
    /// Telnyx objects to in another look-up is not.
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

/// What a call is for, as far as a refusal means different things.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Looking for numbers on offer.
    Search,
    /// Ordering a number.
    Order,
    /// Anything else.
    Other,
}

/// What Telnyx says of a key that it does not know, or no more: malformed or absent, not found, revoked, expired, bad.
const KEY_REFUSED: [&str; 5] = ["10009", "20001", "20002", "20006", "20008"];

/// Whether Telnyx refused the key, and so did nothing.
pub(super) fn refuses_key(status: u16, codes: &[String]) -> bool {
    let refused = || codes.iter().any(|code| KEY_REFUSED.contains(&code.as_str()));
    status == 401 || (matches!(status, 400 | 403) && refused())
}

/// Turns "there is no such thing" into None.
pub(super) fn absent<T>(outcome: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Refused(Refusal::NotFound(_))) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A refusal by its status and Telnyx's codes. The codes are Telnyx's own
/// (<https://developers.telnyx.com/docs/overview/errors>); not all of them are documented with a status, so the code
/// goes before the status.
pub(super) fn refusal(purpose: Purpose, status: u16, codes: &[String], wait: Duration) -> Failure {
    let source = || -> Source { format!("Telnyx answered {status} with codes [{}]", codes.join(", ")).into() };
    let has = |wanted: &[&str]| codes.iter().any(|code| wanted.contains(&code.as_str()));
    match status {
        408 | 500.. => return Failure::Unknown(source()),
        429 => return Failure::Refused(Refusal::RateLimited(wait)),
        _ => {}
    }
    let refusal = if has(&["85000", "85001", "85006"]) {
        // Never searched for, not available, reserved by somebody.
        Refusal::NumberUnavailable(source())
    } else if has(&["20100", "20012"]) || status == 402 {
        // Insufficient funds; account inactive, for want of funds.
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

#[cfg(test)]
mod tests {
    use super::*;

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
