//! The plan of a run. It depends on the seed and the run's number only.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::agencies::{self, Role};
use crate::fault_proxy::{Moment, Point};

/// How many numbers the agencies compete for.
pub(super) const NUMBERS: usize = 5;

pub(super) const ASSIGN: &str = "phone-numbers-assign";
pub(super) const LIST: &str = "phone-numbers-list";
pub(super) const PURCHASE: &str = "phone-numbers-purchase";
pub(super) const RECONCILE: &str = "phone-numbers-reconcile";
pub(super) const RELEASE: &str = "phone-numbers-release";
pub(super) const SEARCH: &str = "phone-numbers-search";

/// The functions, ordered by the harm that a crash could do.
const VICTIMS: [&str; 6] = [PURCHASE, RELEASE, RECONCILE, ASSIGN, LIST, SEARCH];
/// Interactions that change state, and the function that has each.
const INTERACTION_POINTS: [(&str, &str); 27] = [
    (PURCHASE, "idempotency_keys.claim"),
    (PURCHASE, "idempotency_keys.answer"),
    (PURCHASE, "purchases.begin.insert"),
    (PURCHASE, "GET /v2/available_phone_numbers"),
    (PURCHASE, "purchases.order.ordering"),
    (PURCHASE, "POST /v2/number_orders"),
    (PURCHASE, "purchases.order.ordered"),
    (PURCHASE, "GET /v2/number_orders"),
    (PURCHASE, "GET /v2/number_orders/{id}"),
    (PURCHASE, "GET /v2/phone_numbers"),
    (PURCHASE, "purchases.finish.complete"),
    (PURCHASE, "purchases.finish.fail"),
    (PURCHASE, "purchases.order.order_missed"),
    (RECONCILE, "purchases.ledger.claim"),
    (RECONCILE, "reconcile.compare.counterparts"),
    (RECONCILE, "reconcile.adopt.insert"),
    (RECONCILE, "reconcile.moves.follow"),
    (RECONCILE, "reconcile.findings.report"),
    (RECONCILE, "reconcile.walks.finish"),
    (RECONCILE, "releases.ledger.claim"),
    (RELEASE, "releases.begin.insert"),
    (RELEASE, "releases.ledger.deleting"),
    (RELEASE, "DELETE /v2/phone_numbers/{id}"),
    (RELEASE, "releases.finish.complete"),
    (RELEASE, "purchases.finish.cancel"),
    (RELEASE, "PATCH /v2/sub_number_orders/{id}/cancel"),
    (ASSIGN, "numbers.change.update"),
];
/// The approximate number of interactions of a run.
const INTERACTIONS: usize = 150;
/// Requests and disruptions begin within this time.
const LATEST_MS: u64 = 400;

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The number of the run.
    pub run: u64,
    /// Which agency has each number before the faults.
    pub(super) holders: [Option<usize>; NUMBERS],
    pub(super) steps: Vec<Step>,
    pub(super) disruptions: Vec<Disruption>,
    /// The simulator's settings during the workload.
    pub(super) telnyx: Value,
    /// The maximum duration of the workload. It ends earlier if every request has an answer.
    pub(super) duration: Duration,
    /// The outcome of orders that are still pending then.
    pub(super) orders_end: &'static str,
    /// Whether callers also repeat their idempotency keys after more than a day.
    pub(super) a_day_later: bool,
}

/// One request of the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) agency: usize,
    pub(super) role: Role,
    pub(super) action: Action,
    /// Whether it carries an idempotency key.
    pub(super) keyed: bool,
    /// How often it is sent at the same time.
    pub(super) copies: usize,
    /// Whether it is repeated until there is a final answer.
    pub(super) persistent: bool,
}

/// Numbers are given by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Search,
    List,
    Purchase {
        numbers: Vec<usize>,
        agent: Option<usize>,
        limit: Option<&'static str>,
        validate_only: bool,
    },
    Assign {
        number: usize,
        agent: usize,
    },
    Rename {
        number: usize,
    },
    Unassign {
        number: usize,
    },
    Release {
        numbers: Vec<usize>,
    },
    /// An invocation by the schedule.
    Reconcile,
}

/// A fault or an external change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Disruption {
    /// A fault at an interaction.
    AtInteraction { point: Point, moment: Moment, effect: Effect },
    /// All processes of a function are killed.
    ProcessesKilled { after: Duration, function: &'static str },
    /// All connections are closed.
    ConnectionsCut { after: Duration },
    /// Postgres crashes, and is started again.
    PostgresCrash { after: Duration },
    /// A fault of the simulator.
    Telnyx(Value),
    /// The platform's secret gets the key of another account.
    KeySwapped { after: Duration },
    /// The platform's key at Telnyx is replaced.
    KeyReplaced { after: Duration },
    /// Telnyx moves an active number of the agency that has an account of its own: between that and the platform's.
    NumberMoved { after: Duration, number: usize },
    /// Telnyx refuses to delete a number.
    NumberLocked { after: Duration, number: usize },
    /// An agency is deleted, with its rows.
    AgencyDeleted { after: Duration, agency: usize },
}

/// The fault at an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Cut,
    Silence,
    /// All processes of a function are killed.
    Kill(&'static str),
}

impl Disruption {
    /// When it happens, if it is timed.
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::ProcessesKilled { after, .. }
            | Self::ConnectionsCut { after }
            | Self::PostgresCrash { after }
            | Self::KeySwapped { after }
            | Self::KeyReplaced { after }
            | Self::NumberMoved { after, .. }
            | Self::NumberLocked { after, .. }
            | Self::AgencyDeleted { after, .. } => Some(*after),
            Self::AtInteraction { .. } | Self::Telnyx(_) => None,
        }
    }
}

impl Action {
    /// The number, if the action is one for its owner.
    fn about(&self) -> Option<usize> {
        match self {
            Self::Assign { number, .. } | Self::Rename { number } | Self::Unassign { number } => Some(*number),
            Self::Release { numbers } => numbers.first().copied(),
            Self::Search | Self::List | Self::Purchase { .. } | Self::Reconcile => None,
        }
    }
}

impl Plan {
    /// Draws the plan of a run.
    #[must_use]
    pub fn draw(seed: u64, run: u64) -> Self {
        // So that neighbouring seeds do not share runs.
        let mut draw = Draw(Rng::with_seed(Rng::with_seed(seed).u64(..).wrapping_add(run)));
        let holders = draw.holders();
        let (steps, mut disruptions, mut telnyx) = (draw.steps(holders), draw.disruptions(), draw.telnyx());
        disruptions.extend(draw.changes());
        // Without references, only an operator could tell the owner of a number that got another id or lost its row.
        let needs_references =
            |disruption: &Disruption| matches!(disruption, Disruption::NumberMoved { .. } | Disruption::AgencyDeleted { .. });
        telnyx["references_on_numbers"] = (disruptions.iter().any(needs_references) || !draw.one_in(3)).into();
        Self {
            seed,
            run,
            holders,
            steps,
            disruptions,
            telnyx,
            duration: Duration::from_millis(draw.0.u64(300..=900)),
            orders_end: if draw.one_in(4) { "failure" } else { "success" },
            a_day_later: draw.one_in(3),
        }
    }

    /// Whether the platform's secret gets another account's key.
    pub(super) fn swaps_keys(&self) -> bool {
        self.disruptions.iter().any(|disruption| matches!(disruption, Disruption::KeySwapped { .. }))
    }

    /// Whether an agency is deleted.
    pub(super) fn deletes(&self, agency: usize) -> bool {
        self.disruptions.iter().any(|disruption| matches!(disruption, Disruption::AgencyDeleted { agency: gone, .. } if *gone == agency))
    }
}

/// One line for each part of the plan.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, run, holders, steps, disruptions, telnyx, duration, orders_end, a_day_later } = self;
        let again = if *a_day_later { ", and callers repeat their keys after a day" } else { "" };
        writeln!(formatter, "run {run} of seed {seed} lasts {duration:?}, then pending orders end in {orders_end}{again}")?;
        writeln!(formatter, "  before: {holders:?}")?;
        writeln!(formatter, "  Telnyx: {telnyx}")?;
        steps.iter().enumerate().try_for_each(|(index, step)| writeln!(formatter, "  #{index} {step:?}"))?;
        disruptions.iter().try_for_each(|disruption| writeln!(formatter, "  {disruption:?}"))
    }
}

struct Draw(Rng);

impl Draw {
    fn one_in(&mut self, count: u32) -> bool {
        self.0.u32(..count) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.usize(..choices.len())]
    }

    fn after(&mut self) -> Duration {
        Duration::from_millis(self.0.u64(..LATEST_MS))
    }

    /// Half of the numbers are free; the others keep every agency within its quota.
    fn holders(&mut self) -> [Option<usize>; NUMBERS] {
        let mut small = 0;
        std::array::from_fn(|_| {
            let holder = self.0.usize(..2 * agencies::COUNT);
            small += usize::from(holder == agencies::LIMITED);
            (holder < agencies::COUNT && (holder != agencies::LIMITED || small < agencies::QUOTA)).then_some(holder)
        })
    }

    fn steps(&mut self, mut holders: [Option<usize>; NUMBERS]) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..self.0.usize(4..=9) {
            let action = self.action();
            // Mostly the agency that has the number, or is buying it, makes the request.
            let holder = action.about().and_then(|number| holders[number]).filter(|_| !self.one_in(4));
            let agency = holder.unwrap_or_else(|| self.0.usize(..agencies::COUNT));
            if let Action::Purchase { numbers, .. } = &action {
                for number in numbers {
                    holders[*number].get_or_insert(agency);
                }
            }
            steps.push(self.step(agency, action));
        }
        steps
    }

    fn step(&mut self, agency: usize, action: Action) -> Step {
        let is_release = matches!(action, Action::Release { .. });
        Step {
            // Half of them are sent at the start.
            after: if self.one_in(2) { Duration::ZERO } else { self.after() },
            agency,
            role: if is_release || self.one_in(2) { Role::Owner } else { Role::Admin },
            // A request that changes nothing takes no key.
            keyed: self.one_in(2) && matches!(action, Action::Purchase { validate_only: false, .. } | Action::Release { .. }),
            action,
            copies: if self.one_in(4) { self.0.usize(2..=3) } else { 1 },
            persistent: !self.one_in(3),
        }
    }

    fn action(&mut self) -> Action {
        let number = self.0.usize(..NUMBERS);
        match self.0.u32(..20) {
            0 => Action::Search,
            1 => Action::List,
            2..=9 => Action::Purchase {
                numbers: self.numbers(3),
                agent: self.one_in(2).then(|| self.0.usize(..agencies::AGENTS)),
                limit: if self.one_in(3) { Some(self.of(&["0.50", "1.00", "7.50"])) } else { None },
                validate_only: self.one_in(10),
            },
            10 => Action::Assign { number, agent: self.0.usize(..agencies::AGENTS) },
            11 => Action::Rename { number },
            12 => Action::Unassign { number },
            13..=17 => Action::Release { numbers: self.numbers(2) },
            _ => Action::Reconcile,
        }
    }

    /// One or more different numbers.
    fn numbers(&mut self, most: usize) -> Vec<usize> {
        let count = if self.one_in(3) { self.0.usize(1..=most) } else { 1 };
        self.0.choose_multiple(0..NUMBERS, count)
    }

    fn disruptions(&mut self) -> Vec<Disruption> {
        let mut disruptions: Vec<_> = (0..self.0.usize(3..=8)).map(|_| self.disruption()).collect();
        // A Postgres that is down cannot crash.
        let mut crashes = 0;
        disruptions.retain(|disruption| {
            crashes += usize::from(matches!(disruption, Disruption::PostgresCrash { .. }));
            crashes < 2 || !matches!(disruption, Disruption::PostgresCrash { .. })
        });
        disruptions
    }

    /// External changes: keys, accounts, locks and agencies.
    fn changes(&mut self) -> Vec<Disruption> {
        let mut changes = Vec::new();
        if self.one_in(5) {
            changes.push(Disruption::KeySwapped { after: self.after() });
        }
        if self.one_in(6) {
            changes.push(Disruption::KeyReplaced { after: self.after() });
        }
        if self.one_in(3) {
            changes.push(Disruption::NumberMoved { after: self.after(), number: self.0.usize(..NUMBERS) });
        }
        if self.one_in(4) {
            let numbers = self.numbers(NUMBERS);
            changes.extend(numbers.into_iter().map(|number| Disruption::NumberLocked { after: self.after(), number }));
        }
        if self.one_in(8) {
            changes.push(Disruption::AgencyDeleted { after: self.after(), agency: self.of(&agencies::DELETABLE) });
        }
        changes
    }

    fn disruption(&mut self) -> Disruption {
        match self.0.u32(..20) {
            0..=10 => self.at_interaction(),
            11..=12 => Disruption::ProcessesKilled { after: self.after(), function: self.victim() },
            13 => Disruption::ConnectionsCut { after: self.after() },
            14 => Disruption::PostgresCrash { after: self.after() },
            _ => Disruption::Telnyx(self.telnyx_fault()),
        }
    }

    fn at_interaction(&mut self) -> Disruption {
        let (function, point) = if self.one_in(3) {
            (self.victim(), Point::Index(self.0.usize(..INTERACTIONS)))
        } else {
            let (function, name) = self.of(&INTERACTION_POINTS);
            (function, Point::Next(name.to_owned()))
        };
        let moment = self.of(&[Moment::Before, Moment::After]);
        let effect = match self.0.u32(..10) {
            0..=4 => Effect::Kill(function),
            5..=7 => Effect::Cut,
            _ => Effect::Silence,
        };
        Disruption::AtInteraction { point, moment, effect }
    }

    fn victim(&mut self) -> &'static str {
        let among = if self.one_in(2) { 2 } else { VICTIMS.len() };
        VICTIMS[self.0.usize(..among)]
    }

    fn telnyx_fault(&mut self) -> Value {
        let (method, path) = self.of(&[
            ("GET", "/v2/available_phone_numbers"),
            ("POST", "/v2/number_orders"),
            ("GET", "/v2/number_orders"),
            ("GET", "/v2/phone_numbers"),
            ("DELETE", "/v2/phone_numbers"),
            ("PATCH", "/v2/sub_number_orders"),
        ]);
        let mut fault = json!({"method": method, "path_prefix": path, "times": self.0.u32(1..=4)});
        fault["kind"] = self.of(&["status", "status", "drop_before", "drop_after", "malformed", "delay"]).into();
        match fault["kind"].as_str() {
            // A refusal.
            Some("status") if method == "DELETE" && self.one_in(3) => fault["status"] = self.of(&[403, 422]).into(),
            Some("status") => fault["status"] = self.of(&[429, 500, 502, 503]).into(),
            Some("delay") => fault["delay_ms"] = self.0.u64(50..=900).into(),
            _ => {}
        }
        fault
    }

    /// Telnyx may be slow and its lists may lag, but never for as long as the product waits for them.
    fn telnyx(&mut self) -> Value {
        let mut up_to = |most: u64| if self.one_in(2) { 0 } else { self.0.u64(..most) };
        let [order, number, number_lag, reference_lag, webhook] = [400, 200, 600, 600, 300].map(&mut up_to);
        json!({
            "order_delay_ms": order,
            "order_delay_reads": self.0.u32(..3),
            "order_outcome": self.of(&["success", "success", "success", "failure", "never"]),
            "number_delay_ms": number,
            "number_lag_ms": number_lag,
            "reference_lag_ms": reference_lag,
            "delete_lag_reads": self.0.u32(..3),
            "insufficient_funds": self.one_in(20),
            "taken_as_bad_request": self.one_in(8),
            "webhook_copies": self.0.u32(..3),
            "webhook_delay_ms": webhook,
            "webhook_reorder": self.one_in(4),
        })
    }
}
