//! What a person does in Telnyx's portal, or Telnyx's support on request: one number or order of any account changes without
//! a request to `/v2`.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::state::SimulatorState;

/// A status and a body, or a status and what is wrong.
pub(super) type Outcome = Result<(u16, Value), (u16, String)>;

/// An order or a number as Telnyx shows it, and the account it belongs to.
pub(super) fn with_account(mut shown: Value, account: &str) -> Value {
    shown["account"] = json!(account);
    shown
}

/// The body of `PATCH /_control/numbers/{id}`: any of its members, all applied or none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberChange {
    /// Moves the number to another account, `default` or one of the setting `accounts`, where it gets a new id. Its order
    /// stays where it was. The account it is in already changes nothing.
    #[serde(default, deserialize_with = "present")]
    account: Option<String>,
    /// Locks the number against deletion through `/v2`, or unlocks it.
    #[serde(default, deserialize_with = "present")]
    deletion_lock_enabled: Option<bool>,
    /// Replaces the number's reference as it is, or removes it with `null`.
    #[serde(default, deserialize_with = "present")]
    customer_reference: Option<Nullable>,
}

/// A text, or `null`.
#[derive(Deserialize)]
struct Nullable(Option<String>);

/// Reads a member that is there, so that `null` is not the same as an absent one.
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

/// Removes one number at once, whatever `delete_lag_reads` and its lock say, and returns it as it was. It is held for its
/// account.
pub(super) fn remove_number(state: &mut SimulatorState, id: &str) -> Outcome {
    let index = number(state, id)?;
    let removed = state.numbers.remove(index);
    state.hold(&removed.account, removed.offer);
    Ok((200, with_account(removed.detailed(), &removed.account)))
}

/// Forgets one order with its sub-orders and items, and returns it as it was. Its numbers stay as they are: one that was
/// pending stays pending.
pub(super) fn forget_order(state: &mut SimulatorState, id: &str) -> Outcome {
    let index = state.orders.iter().position(|order| order.id.to_string() == id).ok_or((404, format!("there is no order {id}")))?;
    let forgotten = state.orders.remove(index);
    Ok((200, with_account(forgotten.detailed(), &forgotten.account)))
}

/// Where the number of any account with this id, or this E.164, is kept: the newest, as for `/v2`.
fn number(state: &SimulatorState, id: &str) -> Result<usize, (u16, String)> {
    state.numbers.iter().rposition(|number| number.is_called(id)).ok_or((404, format!("there is no number {id}")))
}
