//! The offer of a number: its price and features at Telnyx, read just before it is ordered.

use crate::config;
use crate::error::{Error, Price};
use crate::model::{E164, PriceLimits};
use crate::numbering;
use crate::store::Offer;
use crate::telnyx::{Available, Failure, Refusal, Session};

/// What the number costs and can do now, asked in one country after another, the likeliest first. A country in which Telnyx
/// refuses the search is passed over; only if all of them refuse it, that is the failure.
pub(super) async fn of(session: &Session<'_>, number: &E164) -> Result<Option<Offer>, Failure> {
    let Some(plan) = numbering::plan(number) else { return Ok(None) };
    let (mut asked, mut refused) = (false, None);
    for country in plan.countries {
        match session.offer(number, &country, &plan.national_digits).await {
            Ok(Some(found)) => return Ok(Some(offer(found, country))),
            Ok(None) => asked = true,
            Err(failure @ Failure::Refused(Refusal::BadRequest(_))) => refused = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    match refused {
        Some(failure) if !asked => Err(failure),
        _ => Ok(None),
    }
}

/// Checks a price that was just read against the highest plausible price and the caller's limits.
///
/// # Errors
/// `PriceExceeded`.
pub(super) fn within_limits(config: &config::Purchase, limits: &PriceLimits, offer: &Offer) -> Result<(), Error> {
    let Offer { monthly_cost, upfront_cost, currency, .. } = offer;
    let plausible = [monthly_cost, upfront_cost].into_iter().flatten().all(|price| price.0 <= config.max_plausible_price);
    if plausible && limits.permit(*monthly_cost, *upfront_cost, currency.as_deref()) {
        return Ok(());
    }
    Err(Error::PriceExceeded(Price { monthly: *monthly_cost, upfront: *upfront_cost, currency: currency.clone() }))
}

fn offer(found: Available, country_code: String) -> Offer {
    Offer {
        country_code,
        features: found.features,
        monthly_cost: found.monthly_cost,
        upfront_cost: found.upfront_cost,
        currency: found.currency,
    }
}
