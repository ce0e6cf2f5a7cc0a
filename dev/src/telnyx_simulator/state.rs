//! Everything the simulator remembers, and what the passing of time does to it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    Settings,
    clock::{Clock, millis},
    faults::Faults,
    jobs::Job,
    journal::Journal,
    numbers::{OwnedNumber, Status},
    orders::Order,
    rate_limit::Traffic,
    reservations::Reservation,
    stock::Offer,
    webhooks::Outbox,
};

/// The name of the account that the simulator starts with.
pub(super) const DEFAULT_ACCOUNT: &str = "default";

/// A number that its last account may still buy back.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) account: String,
    pub(super) until: DateTime<Utc>,
}

/// Whether an account can have a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    Free,
    /// Held or reserved for this account; nobody else sees it.
    Kept,
    Taken,
}

#[derive(Debug)]
pub(super) struct SimulatorState {
    /// The key of the default account, unless the setting `accounts` names others.
    pub(super) api_key: String,
    /// What a reset returns to.
    initial: Settings,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) orders: Vec<Order>,
    pub(super) numbers: Vec<OwnedNumber>,
    pub(super) holds: HashMap<&'static str, Hold>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) jobs: Vec<Job>,
    /// Account and number of everything a search has shown: nothing else can be ordered.
    pub(super) searched: HashSet<(String, &'static str)>,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) outbox: Outbox,
    last_number_id: u64,
    pub(super) traffic: Traffic,
}

impl SimulatorState {
    pub(super) fn new(api_key: String, settings: Settings) -> Self {
        Self {
            api_key,
            initial: settings.clone(),
            clock: Clock::new(settings.clock),
            settings,
            orders: Vec::new(),
            numbers: Vec::new(),
            holds: HashMap::new(),
            reservations: Vec::new(),
            jobs: Vec::new(),
            searched: HashSet::new(),
            faults: Faults::default(),
            journal: Journal::default(),
            outbox: Outbox::default(),
            last_number_id: first_number_id(),
            traffic: Traffic::default(),
        }
    }

    /// Back to the start, but for the accounts and their keys.
    pub(super) fn reset(&mut self) {
        let mut settings = self.initial.clone();
        settings.accounts.clone_from(&self.settings.accounts);
        let initial = self.initial.clone();
        *self = Self::new(std::mem::take(&mut self.api_key), settings);
        self.initial = initial;
    }

    pub(super) fn send_webhooks_to(&mut self, url: &str) {
        for settings in [&mut self.initial, &mut self.settings] {
            settings.webhook_url = Some(url.to_owned());
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The account an API key belongs to.
    pub(super) fn account(&self, api_key: &str) -> Option<String> {
        if !self.settings.accounts.contains_key(DEFAULT_ACCOUNT) && api_key == self.api_key {
            return Some(DEFAULT_ACCOUNT.to_owned());
        }
        self.settings.accounts.iter().find(|(_, keys)| keys.contain(api_key)).map(|(name, _)| name.clone())
    }

    /// Whether an account of this name exists.
    pub(super) fn has_account(&self, name: &str) -> bool {
        name == DEFAULT_ACCOUNT || self.settings.accounts.contains_key(name)
    }

    pub(super) fn availability(&self, account: &str, offer: &Offer) -> Availability {
        let owned = |number: &OwnedNumber| number.offer.phone_number == offer.phone_number && number.status != Status::PurchaseFailed;
        if self.numbers.iter().any(owned) {
            return Availability::Taken;
        }
        let now = self.now();
        let held_for = self.holds.get(offer.phone_number.as_str()).filter(|hold| now < hold.until).map(|hold| hold.account.as_str());
        let reserved_for = self
            .reservations
            .iter()
            .find(|reservation| reservation.keeps(&offer.phone_number, now))
            .map(|reservation| reservation.account.as_str());
        match reserved_for.or(held_for) {
            None => Availability::Free,
            Some(keeper) if keeper == account => Availability::Kept,
            Some(_) => Availability::Taken,
        }
    }

    /// A fresh id in the manner of `/phone_numbers`: 19 digits, beyond what a double can hold.
    pub(super) fn issue_number_id(&mut self) -> String {
        // Gaps as between ids drawn from a busy sequence.
        self.last_number_id += 1_000_003;
        self.last_number_id.to_string()
    }

    /// Gives a number back: its account alone can have it again for a while.
    pub(super) fn hold(&mut self, account: &str, offer: &'static Offer) {
        let until = self.now() + millis(self.settings.hold_ms);
        self.holds.insert(&offer.phone_number, Hold { account: account.to_owned(), until });
    }

    /// Lets everything happen that is due by now.
    pub(super) fn settle(&mut self) {
        self.settle_orders();
        self.settle_jobs();
    }
}

/// Never an id of an earlier run: a database that is kept would take a new number for an old one.
fn first_number_id() -> u64 {
    2_000_000_000_000_000_000 + u64::try_from(Utc::now().timestamp_micros()).unwrap_or_default()
}
