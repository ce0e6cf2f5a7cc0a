//! Completes orders: when they are due, cancelled, or ended through `/_control`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    clock::millis,
    jobs,
    number::{OwnedNumber, Status},
    order::{Item, Progress},
    outbox,
    settings::OrderOutcome,
    state::SimulatorState,
    stock::Offer,
};

/// Ends orders, activates numbers and carries out jobs that are due.
pub(super) fn settle(state: &mut SimulatorState) {
    settle_orders(state);
    jobs::settle(state);
}

/// Ends orders and activates numbers that are due.
fn settle_orders(state: &mut SimulatorState) {
    let now = state.now();
    let outcome = match state.settings.order_outcome {
        OrderOutcome::Success => Some(Progress::Success),
        OrderOutcome::Failure => Some(Progress::Failure),
        OrderOutcome::Never => None,
    };
    if let Some(outcome) = outcome {
        for index in 0..state.orders.len() {
            let order = &state.orders[index];
            let due = order.created_at + millis(state.settings.order_delay_ms);
            if due <= now && order.reads >= state.settings.order_delay_reads && order.completed_at.is_none() {
                finish(state, index, outcome, due, Item::requirements_met);
            }
        }
    }
    for number in &mut state.numbers {
        if number.status == Status::PurchasePending && number.active_from.is_some_and(|from| from <= now) {
            number.status = Status::Active;
            number.activated_at = number.active_from;
            number.updated_at = now;
        }
    }
}

/// Ends the pending items of one order that `selected` accepts. The order ends with its last item.
pub(super) fn finish(state: &mut SimulatorState, index: usize, outcome: Progress, at: DateTime<Utc>, selected: impl Fn(&Item) -> bool) {
    let order = &mut state.orders[index];
    let order_id = order.id;
    let mut finished = Vec::new();
    for item in order.items.iter_mut().filter(|item| item.progress == Progress::Pending) {
        if selected(item) {
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
            Progress::Failure => give_back(state, order_id, offer),
            Progress::Success | Progress::Pending => activate(state, order_id, offer, at),
        }
    }
    announce(state, index);
}

fn activate(state: &mut SimulatorState, order_id: Uuid, offer: &Offer, at: DateTime<Utc>) {
    let wait = if offer.quickship { 0 } else { state.settings.slow_activation_ms };
    if let Some(number) =
        state.numbers.iter_mut().find(|number| number.order_id == order_id && number.offer.phone_number == offer.phone_number)
    {
        number.status = Status::PurchasePending;
        number.active_from = Some(at + millis(wait));
        // An order without delay ends before its number was due to become visible.
        number.created_at = number.created_at.min(at);
    }
}

fn give_back(state: &mut SimulatorState, order_id: Uuid, offer: &Offer) {
    if let Some(balance) = &mut state.settings.balance {
        *balance += offer.cost();
    }
    let is_it = |number: &OwnedNumber| number.order_id == order_id && number.offer.phone_number == offer.phone_number;
    if state.settings.keep_failed_numbers {
        state.numbers.iter_mut().filter(|number| is_it(number)).for_each(|number| number.status = Status::PurchaseFailed);
    } else {
        state.numbers.retain(|number| !is_it(number));
    }
}

fn announce(state: &mut SimulatorState, index: usize) {
    let order = &state.orders[index];
    if let (Some(completed_at), Some(url)) = (order.completed_at, state.settings.webhook_url.clone()) {
        let event = outbox::order_complete(order, completed_at);
        let due = completed_at + millis(state.settings.webhook_delay_ms);
        for _ in 0..state.settings.webhook_copies {
            state.outbox.put(order.id, url.clone(), event.clone(), due);
        }
    }
}
