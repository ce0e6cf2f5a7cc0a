//! The numbers on offer: generated from a table of real area codes, the same on every run.

use std::sync::LazyLock;

use rust_decimal::Decimal;

use super::ranges::{RANGES, Range};

/// A number that can be searched and bought.
#[derive(Debug)]
pub(super) struct Offer {
    /// `+E.164`.
    pub(super) phone_number: String,
    pub(super) range: &'static Range,
    /// The number without its country code.
    pub(super) national: String,
    pub(super) features: &'static [&'static str],
    /// Whether it is active at once. Only some toll-free numbers of +1 are not.
    pub(super) quickship: bool,
    pub(super) reservable: bool,
}

impl Offer {
    /// The digits after the area code.
    pub(super) fn subscriber(&self) -> &str {
        self.national.strip_prefix(self.range.ndc).unwrap_or(&self.national)
    }

    /// Its cost to the balance: the set-up fee and the first month.
    pub(super) fn cost(&self) -> Decimal {
        let amount = |text: &str| text.parse::<Decimal>().unwrap_or_default();
        amount(self.range.upfront_cost) + amount(self.range.monthly_cost)
    }

    pub(super) fn has(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }
}

/// Every number, sold or not. One number of each range, then the next of each, so that a broad search shows many places.
pub(super) static STOCK: LazyLock<Vec<Offer>> = LazyLock::new(|| {
    let most = RANGES.iter().map(|range| range.count).max().unwrap_or(0);
    (0..most)
        .flat_map(|index| RANGES.iter().enumerate().map(move |(seed, range)| (index, seed, range)))
        .filter(|(index, _, range)| *index < range.count)
        .map(|(index, seed, range)| offer(index, seed, range))
        .collect()
});

/// The number on offer with exactly this E.164.
pub(super) fn find(phone_number: &str) -> Option<&'static Offer> {
    STOCK.iter().find(|offer| offer.phone_number == phone_number)
}

fn offer(index: usize, seed: usize, range: &'static Range) -> Offer {
    let lead = range.leads[(index + seed) % range.leads.len()];
    let width = range.digits - lead.len();
    // The step is coprime to powers of ten, so no two numbers of a range have the same digits.
    let tail = (seed * 7919 + index * 6367 + 1843) % 10_usize.pow(u32::try_from(width).unwrap_or(0));
    let national = format!("{}{lead}{tail:0width$}", range.ndc);
    let toll_free_in_north_america = range.dial_code == "1" && range.phone_number_type == "toll_free";
    Offer {
        phone_number: format!("+{}{national}", range.dial_code),
        range,
        national,
        features: if index % 8 == 7 { range.fewer_features } else { range.features },
        quickship: !(toll_free_in_north_america && index % 3 == 2),
        reservable: index % 10 != 9,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_is_offered_twice() {
        let distinct: HashSet<_> = STOCK.iter().map(|offer| &offer.phone_number).collect();
        assert_eq!(distinct.len(), STOCK.len());
    }

    #[test]
    fn the_large_area_codes_offer_fifty_local_numbers_with_voice_and_sms() {
        for ndc in ["212", "312", "415"] {
            let found = STOCK
                .iter()
                .filter(|offer| offer.range.ndc == ndc && offer.range.phone_number_type == "local")
                .filter(|offer| offer.has("voice") && offer.has("sms"));
            assert!(found.count() >= 50, "{ndc}");
        }
    }

    #[test]
    fn numbers_of_north_america_follow_its_numbering_plan() {
        for offer in STOCK.iter().filter(|offer| offer.range.dial_code == "1") {
            let exchange = &offer.subscriber()[..3];
            assert_eq!(offer.national.len(), 10, "{}", offer.phone_number);
            assert!(exchange >= "200" && !exchange.ends_with("11") && exchange != "555", "{}", offer.phone_number);
        }
    }
}
