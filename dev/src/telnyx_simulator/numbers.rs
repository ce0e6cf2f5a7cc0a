//! `/phone_numbers`: what an account owns.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clock::{millis, zulu_millis, zulu_seconds},
    errors::Problem,
    orders::{Item, Order},
    state::SimulatorState,
    stock::Offer,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    PurchasePending,
    PurchaseFailed,
    RequirementInfoPending,
    Active,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PurchasePending => "purchase-pending",
            Self::PurchaseFailed => "purchase-failed",
            Self::RequirementInfoPending => "requirement-info-pending",
            Self::Active => "active",
        }
    }
}

#[derive(Debug)]
pub(super) struct OwnedNumber {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) offer: &'static Offer,
    pub(super) order_id: Uuid,
    pub(super) status: Status,
    /// When the row shows up, which is also its `created_at`.
    pub(super) created_at: DateTime<Utc>,
    pub(super) purchased_at: DateTime<Utc>,
    pub(super) active_from: Option<DateTime<Utc>>,
    pub(super) activated_at: Option<DateTime<Utc>>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) connection_id: Option<String>,
    pub(super) messaging_profile_id: Option<String>,
    pub(super) messaging_product: String,
    pub(super) billing_group_id: Option<String>,
    pub(super) customer_reference: Option<String>,
    pub(super) external_pin: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) hd_voice_enabled: bool,
    pub(super) deletion_lock_enabled: bool,
    /// The settings under `/voice`.
    pub(super) voice: Value,
    /// Once deleted: how many more reads still see it.
    pub(super) reads_left: Option<u32>,
}

impl OwnedNumber {
    /// A number as its order creates it, without a customer reference.
    pub(super) fn ordered(id: String, order: &Order, item: &Item, appears_at: DateTime<Utc>) -> Self {
        Self {
            id,
            account: order.account.clone(),
            offer: item.offer,
            order_id: order.id,
            status: if item.requirements_met() { Status::PurchasePending } else { Status::RequirementInfoPending },
            created_at: appears_at,
            purchased_at: order.created_at,
            active_from: None,
            activated_at: None,
            updated_at: appears_at,
            connection_id: order.connection_id.clone(),
            messaging_profile_id: order.messaging_profile_id.clone(),
            messaging_product: "A2P".to_owned(),
            billing_group_id: order.billing_group_id.clone(),
            customer_reference: None,
            external_pin: None,
            tags: Vec::new(),
            hd_voice_enabled: false,
            deletion_lock_enabled: false,
            voice: super::number_settings::default_voice(),
            reads_left: None,
        }
    }

    pub(super) fn connection_name(&self) -> Option<String> {
        self.connection_id.as_ref().map(|id| format!("connection {id}"))
    }

    /// Either the id or `+E.164`.
    pub(super) fn is_called(&self, id: &str) -> bool {
        self.id == id || self.offer.phone_number == id
    }

    pub(super) fn detailed(&self) -> Value {
        let voice = &self.voice;
        json!({
            "id": self.id,
            "record_type": "phone_number",
            "phone_number": self.offer.phone_number,
            "country_iso_alpha2": self.offer.range.country,
            "status": self.status.name(),
            "phone_number_type": self.offer.range.phone_number_type,
            "connection_id": self.connection_id,
            "connection_name": self.connection_name(),
            "messaging_profile_id": self.messaging_profile_id,
            "messaging_profile_name": self.messaging_profile_id.as_ref().map(|id| format!("profile {id}")),
            "customer_reference": self.customer_reference,
            "tags": self.tags,
            "external_pin": self.external_pin,
            "billing_group_id": self.billing_group_id,
            "emergency_enabled": false,
            "emergency_address_id": null,
            "emergency_status": "disabled",
            "call_forwarding_enabled": voice["call_forwarding"]["call_forwarding_enabled"],
            "call_recording_enabled": voice["call_recording"]["inbound_call_recording_enabled"],
            "caller_id_name_enabled": voice["caller_id_name_enabled"],
            "cnam_listing_enabled": voice["cnam_listing"]["cnam_listing_enabled"],
            "t38_fax_gateway_enabled": voice["media_features"]["t38_fax_gateway_enabled"],
            "inbound_call_screening": voice["inbound_call_screening"],
            "hd_voice_enabled": self.hd_voice_enabled,
            "deletion_lock_enabled": self.deletion_lock_enabled,
            "source_type": "number_order",
            "number_block_id": null,
            "purchased_at": zulu_seconds(self.purchased_at),
            "created_at": zulu_millis(self.created_at),
            "updated_at": zulu_millis(self.updated_at),
            "activated_at": self.activated_at.map(zulu_millis),
        })
    }
}

impl SimulatorState {
    /// Whether the number's row exists yet.
    pub(super) fn has_appeared(&self, number: &OwnedNumber) -> bool {
        self.now() >= number.created_at || self.completion(number).is_some()
    }

    /// Whether lists show the number yet: they may lag behind the end of its order. A number whose order is forgotten does
    /// not lag.
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

    /// Where the number with this id, or this E.164, is kept.
    pub(super) fn position(&self, account: &str, id: &str) -> Result<usize, Problem> {
        let is_it = |number: &OwnedNumber| number.account == account && number.is_called(id) && self.has_appeared(number);
        // The newest, should an E.164 have failed before.
        self.numbers.iter().rposition(is_it).ok_or_else(Problem::not_found)
    }

    /// Counts a read of a deleted number; with its last one the number is gone.
    pub(super) fn note_read(&mut self, phone_number_ids: &[String]) {
        for number in self.numbers.iter_mut().filter(|number| phone_number_ids.contains(&number.id)) {
            number.reads_left = number.reads_left.map(|left| left.saturating_sub(1));
        }
        self.numbers.retain(|number| number.reads_left != Some(0));
    }

    /// Deletes one number; for a while it is kept for its account.
    pub(super) fn delete_number(&mut self, index: usize) -> Result<Value, Problem> {
        let lag = self.settings.delete_lag_reads;
        let number = &mut self.numbers[index];
        if number.deletion_lock_enabled {
            return Err(Problem::new(422, "10035", "The phone number is locked against deletion."));
        }
        let mut deleted = number.detailed();
        deleted["status"] = json!("deleted");
        if number.reads_left.is_some() {
            let id = number.id.clone();
            self.note_read(&[id]);
            return Ok(deleted);
        }
        let (account, offer) = (number.account.clone(), number.offer);
        if lag == 0 {
            self.numbers.remove(index);
        } else {
            number.reads_left = Some(lag);
        }
        self.hold(&account, offer);
        Ok(deleted)
    }
}

pub(super) fn get(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    let answer = json!({ "data": state.numbers[index].detailed() });
    state.note_read(&[state.numbers[index].id.clone()]);
    Ok(answer)
}

pub(super) fn delete(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    Ok(json!({ "data": state.delete_number(index)? }))
}

pub(super) fn update(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    // Lives under /messaging.
    if body.get("messaging_profile_id").is_some() {
        return Err(Problem::invalid("The field messaging_profile_id is not reachable here").at("/messaging_profile_id"));
    }
    apply(state, index, body)?;
    Ok(json!({ "data": state.numbers[index].detailed() }))
}

/// Sets what both `PATCH /phone_numbers/{id}` and a bulk update can set; all of it, or nothing.
pub(super) fn apply(state: &mut SimulatorState, index: usize, body: &Value) -> Result<(), Problem> {
    let connection_id = text(body, "connection_id")?;
    check_connection(state, connection_id.as_deref())?;
    let customer_reference = text(body, "customer_reference")?;
    let external_pin = text(body, "external_pin")?;
    let billing_group_id = text(body, "billing_group_id")?;
    let tags = tags(body)?;
    let now = state.now();
    let number = &mut state.numbers[index];
    let given = |name: &str| body.get(name).is_some();
    let set = |target: &mut Option<String>, name: &str, value| {
        if given(name) {
            *target = value;
        }
    };
    set(&mut number.connection_id, "connection_id", connection_id);
    set(&mut number.customer_reference, "customer_reference", customer_reference);
    set(&mut number.external_pin, "external_pin", external_pin);
    set(&mut number.billing_group_id, "billing_group_id", billing_group_id);
    number.tags = tags.unwrap_or(std::mem::take(&mut number.tags));
    number.hd_voice_enabled = body["hd_voice_enabled"].as_bool().unwrap_or(number.hd_voice_enabled);
    number.updated_at = now;
    Ok(())
}

pub(super) fn tags(body: &Value) -> Result<Option<Vec<String>>, Problem> {
    let Some(tags) = body.get("tags").filter(|tags| !tags.is_null()) else {
        return Ok(None);
    };
    let tag = |tag: &Value| tag.as_str().filter(|tag| !tag.contains(':')).map(str::to_owned);
    let tags = tags.as_array().and_then(|tags| tags.iter().map(tag).collect::<Option<Vec<_>>>());
    tags.map(Some).ok_or_else(|| Problem::invalid("tags must be strings without colons").at("/tags"))
}

/// A member of a body that is a string; `""` and `null` mean none.
pub(super) fn text(body: &Value, name: &str) -> Result<Option<String>, Problem> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Problem::invalid(format!("{name} must be a string")).at(format!("/{name}"))),
    }
}

/// Connections are not simulated: any decimal id of a plausible length exists.
pub(super) fn check_connection(state: &SimulatorState, connection_id: Option<&str>) -> Result<(), Problem> {
    let Some(id) = connection_id else {
        return Ok(());
    };
    let plausible = (5..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if plausible && !state.settings.refused_connection_ids.iter().any(|refused| refused == id) {
        Ok(())
    } else {
        Err(Problem::invalid_connection(id))
    }
}

/// Messaging profiles are not simulated: any UUID exists.
pub(super) fn check_messaging_profile(id: Option<&str>) -> Result<(), Problem> {
    match id {
        Some(id) if Uuid::parse_str(id).is_err() => {
            Err(Problem::new(422, "85005", format!("The messaging profile '{id}' does not exist.")).at("/messaging_profile_id"))
        }
        _ => Ok(()),
    }
}

pub(super) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    })
}
