//! How much time a request has.

use std::time::Duration;

use lambda_http::{Context, Request, RequestExt as _};

/// Kept back from the time Lambda gives, to get the answer out.
const RESERVE: Duration = Duration::from_secs(1);
/// How far a handler may overrun its deadline before it is cut off: those that spend money stop by themselves before.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Our own limit, or what Lambda still grants if that is less.
pub(super) fn time_left(request: &Request, budget: Duration) -> Duration {
    request.lambda_context_ref().and_then(granted).map_or(budget, |granted| granted.min(budget))
}

/// What Lambda still grants, less what it takes to stop. Without Lambda around it, a context has no deadline; one that has
/// passed leaves nothing.
pub(super) fn granted(context: &Context) -> Option<Duration> {
    let left = || context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default();
    (context.deadline > 0).then(|| left().saturating_sub(RESERVE + GRACE))
}
