//! The simulator's state. It imports data types only; the modules that answer requests import it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    clock::{Clock, millis},
    errors::Problem,
    faults::Faults,
    job::Job,
    journal::Journal,
    number::{OwnedNumber, Status},
    order::Order,
    outbox::Outbox,
    rate_limit::Traffic,
    reservation::Reservation,
    settings::Settings,
    stock::Offer,
};

/// The name of the account that the simulator starts with.
pub(super) const DEFAULT_ACCOUNT: &str = "default";

/// A deleted number that only its last account can buy for a while.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) account: String,
    pub(super) until: DateTime<Utc>,
}

/// Whether an account can buy a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    Free,
    /// Held or reserved for this account. Other accounts do not see it.
    Reserved,
    Taken,
}

#[derive(Debug)]
pub(super) struct SimulatorState {
    /// The key of the default account, unless the setting `accounts` names that account.
    pub(super) api_key: String,
    /// The settings after a reset.
    initial: Settings,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) orders: Vec<Order>,
    pub(super) numbers: Vec<OwnedNumber>,
    pub(super) holds: HashMap<&'static str, Hold>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) jobs: Vec<Job>,
    /// Account and number of every search result. Only these can be ordered.
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

    /// Returns to the initial state, except for the accounts and their keys.
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

    /// The account of an API key.
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
            .find(|reservation| reservation.reserves(&offer.phone_number, now))
            .map(|reservation| reservation.account.as_str());
        match reserved_for.or(held_for) {
            None => Availability::Free,
            Some(holder) if holder == account => Availability::Reserved,
            Some(_) => Availability::Taken,
        }
    }

    /// A new id as of `/phone_numbers`: 19 digits, more than a double can represent.
    pub(super) fn issue_number_id(&mut self) -> String {
        // Ids are not consecutive, as at Telnyx.
        self.last_number_id += 1_000_003;
        self.last_number_id.to_string()
    }

    /// Holds a number: only its account can buy it for a while.
    pub(super) fn hold(&mut self, account: &str, offer: &'static Offer) {
        let until = self.now() + millis(self.settings.hold_ms);
        self.holds.insert(&offer.phone_number, Hold { account: account.to_owned(), until });
    }

    /// Whether the number is visible yet.
    pub(super) fn has_appeared(&self, number: &OwnedNumber) -> bool {
        self.now() >= number.created_at || self.completion(number).is_some()
    }

    /// Whether lists show the number yet: they may lag behind the end of its order. A number whose order was removed does not
    /// lag.
    pub(super) fn is_listed(&self, number: &OwnedNumber) -> bool {
        let lag = self.settings.number_lag_ms;
        let caught_up =
            lag == 0 || self.order_of(number).is_none_or(|order| order.completed_at.is_some_and(|at| self.now() >= at + millis(lag)));
        caught_up && self.has_appeared(number)
    }

    fn completion(&self, number: &OwnedNumber) -> Option<DateTime<Utc>> {
        self.order_of(number)?.completed_at
    }

    fn order_of(&self, number: &OwnedNumber) -> Option<&Order> {
        self.orders.iter().find(|order| order.id == number.order_id)
    }

    /// The index of the number with this id or E.164.
    pub(super) fn position(&self, account: &str, id: &str) -> Result<usize, Problem> {
        let is_it = |number: &OwnedNumber| number.account == account && number.is_called(id) && self.has_appeared(number);
        // The newest, as an earlier order of the same E.164 may have failed.
        self.numbers.iter().rposition(is_it).ok_or_else(Problem::not_found)
    }

    /// Counts a read of deleted numbers. The last read removes the number.
    pub(super) fn note_read(&mut self, phone_number_ids: &[String]) {
        for number in self.numbers.iter_mut().filter(|number| phone_number_ids.contains(&number.id)) {
            number.reads_left = number.reads_left.map(|left| left.saturating_sub(1));
        }
        self.numbers.retain(|number| number.reads_left != Some(0));
    }
}

/// Larger than any id of an earlier run, as a kept database may still have those.
fn first_number_id() -> u64 {
    2_000_000_000_000_000_000 + u64::try_from(Utc::now().timestamp_micros()).unwrap_or_default()
}
