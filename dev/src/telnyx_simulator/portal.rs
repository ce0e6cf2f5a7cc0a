//! Changes as in Telnyx's portal or by its support: to one number or order of any account, without a request to `/v2`.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::state::SimulatorState;

/// A status and a body, or a status and an error message.
pub(super) type Outcome = Result<(u16, Value), (u16, String)>;

/// An order or a number as in Telnyx's answers, with the member `account`.
pub(super) fn with_account(mut shown: Value, account: &str) -> Value {
    shown["account"] = json!(account);
    shown
}

/// The body of `PATCH /_control/numbers/{id}`: any of its members, all applied or none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberChange {
    /// Moves the number to another account, `default` or one of the setting `accounts`, where it gets a new id. Its order
    /// stays in its account. The number's own account changes nothing.
    #[serde(default, deserialize_with = "present")]
    account: Option<String>,
    /// Locks the number against deletion through `/v2`, or unlocks it.
    #[serde(default, deserialize_with = "present")]
    deletion_lock_enabled: Option<bool>,
    /// Replaces the number's reference, or removes it with `null`.
    #[serde(default, deserialize_with = "present")]
    customer_reference: Option<Nullable>,
}

/// A text, or `null`.
#[derive(Deserialize)]
struct Nullable(Option<String>);

/// Reads a present member, so that `null` differs from an absent one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Changes one number, named by its id or its E.164, and returns it.
pub(super) fn change_number(state: &mut SimulatorState, id: &str, change: NumberChange) -> Outcome {
    let index = number(state, id)?;
    if let Some(account) = &change.account
        && !state.has_account(account)
    {
        return Err((400, format!("there is no account {account}")));
    }
    if let Some(account) = change.account.filter(|account| *account != state.numbers[index].account) {
        state.numbers[index].id = state.issue_number_id();
        state.numbers[index].account = account;
    }
    let now = state.now();
    let number = &mut state.numbers[index];
    number.deletion_lock_enabled = change.deletion_lock_enabled.unwrap_or(number.deletion_lock_enabled);
    if let Some(Nullable(reference)) = change.customer_reference {
        number.customer_reference = reference;
    }
    number.updated_at = now;
    Ok((200, with_account(number.detailed(), &number.account)))
}

/// Removes one number at once, regardless of `delete_lag_reads` and its lock, and returns it. It is held for its account.
pub(super) fn remove_number(state: &mut SimulatorState, id: &str) -> Outcome {
    let index = number(state, id)?;
    let removed = state.numbers.remove(index);
    state.hold(&removed.account, removed.offer);
    Ok((200, with_account(removed.detailed(), &removed.account)))
}

/// Removes one order with its sub-orders and items, and returns it. Its numbers stay unchanged: a pending number stays
/// pending.
pub(super) fn remove_order(state: &mut SimulatorState, id: &str) -> Outcome {
    let index = state.orders.iter().position(|order| order.id.to_string() == id).ok_or((404, format!("there is no order {id}")))?;
    let removed = state.orders.remove(index);
    Ok((200, with_account(removed.detailed(), &removed.account)))
}

/// The index of the newest number, of any account, with this id or E.164.
fn number(state: &SimulatorState, id: &str) -> Result<usize, (u16, String)> {
    state.numbers.iter().rposition(|number| number.is_called(id)).ok_or((404, format!("there is no number {id}")))
}
