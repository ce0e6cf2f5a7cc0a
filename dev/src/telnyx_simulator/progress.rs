//! How orders end: when they are due, when they are cancelled, when someone decides.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    clock::millis,
    numbers::{OwnedNumber, Status},
    orders::{Item, Progress},
    settings::OrderOutcome,
    state::SimulatorState,
    stock::Offer,
    webhooks,
};

impl SimulatorState {
    /// Ends the orders that are due and activates the numbers that are.
    pub(super) fn settle_orders(&mut self) {
        let now = self.now();
        let outcome = match self.settings.order_outcome {
            OrderOutcome::Success => Some(Progress::Success),
            OrderOutcome::Failure => Some(Progress::Failure),
            OrderOutcome::Never => None,
        };
        if let Some(outcome) = outcome {
            for index in 0..self.orders.len() {
                let order = &self.orders[index];
                let due = order.created_at + millis(self.settings.order_delay_ms);
                if due <= now && order.reads >= self.settings.order_delay_reads && order.completed_at.is_none() {
                    self.finish(index, outcome, due, Item::requirements_met);
                }
            }
        }
        for number in &mut self.numbers {
            if number.status == Status::PurchasePending && number.active_from.is_some_and(|from| from <= now) {
                number.status = Status::Active;
                number.activated_at = number.active_from;
                number.updated_at = now;
            }
        }
    }

    /// Ends the pending items of one order that `concerned` picks. The order itself ends with its last item.
    pub(super) fn finish(&mut self, index: usize, outcome: Progress, at: DateTime<Utc>, concerned: impl Fn(&Item) -> bool) {
        let order = &mut self.orders[index];
        let order_id = order.id;
        let mut finished = Vec::new();
        for item in order.items.iter_mut().filter(|item| item.progress == Progress::Pending) {
            if concerned(item) {
                item.progress = outcome;
                if outcome == Progress::Success {
                    item.requirements_status = "approved";
                }
                finished.push(item.offer);
            }
        }
        if finished.is_empty() {
            return;
        }
        order.updated_at = at;
        if order.progress() != Progress::Pending {
            order.completed_at = Some(at);
        }
        for offer in finished {
            match outcome {
                Progress::Failure => self.give_back(order_id, offer),
                Progress::Success | Progress::Pending => self.activate(order_id, offer, at),
            }
        }
        self.announce(index);
    }

    fn activate(&mut self, order_id: Uuid, offer: &Offer, at: DateTime<Utc>) {
        let wait = if offer.quickship { 0 } else { self.settings.slow_activation_ms };
        if let Some(number) =
            self.numbers.iter_mut().find(|number| number.order_id == order_id && number.offer.phone_number == offer.phone_number)
        {
            number.status = Status::PurchasePending;
            number.active_from = Some(at + millis(wait));
            // An order without delay ends before its number's row was to show up.
            number.created_at = number.created_at.min(at);
        }
    }

    fn give_back(&mut self, order_id: Uuid, offer: &Offer) {
        if let Some(balance) = &mut self.settings.balance {
            *balance += offer.cost();
        }
        let is_it = |number: &OwnedNumber| number.order_id == order_id && number.offer.phone_number == offer.phone_number;
        if self.settings.keep_failed_numbers {
            self.numbers.iter_mut().filter(|number| is_it(number)).for_each(|number| number.status = Status::PurchaseFailed);
        } else {
            self.numbers.retain(|number| !is_it(number));
        }
    }

    fn announce(&mut self, index: usize) {
        let order = &self.orders[index];
        if let (Some(completed_at), Some(url)) = (order.completed_at, self.settings.webhook_url.clone()) {
            let event = webhooks::order_complete(order, completed_at);
            let due = completed_at + millis(self.settings.webhook_delay_ms);
            for _ in 0..self.settings.webhook_copies {
                self.outbox.put(order.id, url.clone(), event.clone(), due);
            }
        }
    }
}
