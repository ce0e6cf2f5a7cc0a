//! How much time a request has.

use std::time::Duration;

use lambda_http::{Context, Request, RequestExt as _};

/// The part of Lambda's time that is reserved for sending the answer.
const RESERVE: Duration = Duration::from_secs(1);
/// How far a handler may overrun its deadline before it is cancelled. Handlers that spend money stop by themselves before.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// The budget, or the time that Lambda still grants if that is less.
pub(super) fn time_left(request: &Request, budget: Duration) -> Duration {
    request.lambda_context_ref().and_then(granted).map_or(budget, |granted| granted.min(budget))
}

/// The time that Lambda still grants, less what it takes to stop: zero after Lambda's deadline. None outside Lambda, where a
/// context has no deadline.
pub(super) fn granted(context: &Context) -> Option<Duration> {
    let left = || context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default();
    (context.deadline > 0).then(|| left().saturating_sub(RESERVE + GRACE))
}
