//! What Telnyx offers a number for, read just before it is ordered.

use futures_util::stream::{self, StreamExt as _};

use crate::error::{Error, Price};
use crate::model::{E164, PriceLimits};
use crate::numbering;
use crate::store::Offer;
use crate::telnyx::{Available, Failure, Session};

/// Countries that share a calling code are asked this many at a time.
const COUNTRIES_AT_A_TIME: usize = 4;

/// What the very number costs and can do now, asked in each country it may belong to, the likeliest first.
pub(super) async fn of(session: &Session<'_>, number: &E164) -> Result<Option<Offer>, Failure> {
    let Some(plan) = numbering::plan(number) else { return Ok(None) };
    let digits = plan.national_digits.as_str();
    let mut countries = plan.countries.into_iter();
    if let Some(likeliest) = countries.next()
        && let Some(found) = session.offer(number, &likeliest, digits).await?
    {
        return Ok(Some(offer(found, likeliest)));
    }
    let rest = stream::iter(countries).map(async |country| {
        let found = session.offer(number, &country, digits).await;
        found.map(|found| (found, country))
    });
    let mut rest = std::pin::pin!(rest.buffer_unordered(COUNTRIES_AT_A_TIME));
    while let Some(answer) = rest.next().await {
        if let (Some(found), country) = answer? {
            return Ok(Some(offer(found, country)));
        }
    }
    Ok(None)
}

/// Holds what was just read against what the caller pays.
pub(super) fn within_limits(limits: &PriceLimits, offer: &Offer) -> Result<(), Error> {
    let Offer { monthly_cost, upfront_cost, currency, .. } = offer;
    if limits.permit(*monthly_cost, *upfront_cost, currency.as_deref()) {
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
