//! An order, its sub-orders and its items, and how Telnyx shows them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clock::{micros, millis, zulu_seconds},
    settings::Settings,
    stock::Offer,
};

/// The status of an order, a sub-order or an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Pending,
    Success,
    Failure,
}

impl Progress {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    /// The status of a whole. Telnyx does not document mixed results: here, once nothing is pending, one failure fails the whole.
    fn of_all(mut parts: impl Iterator<Item = Self> + Clone) -> Self {
        if parts.clone().any(|part| part == Self::Pending) {
            Self::Pending
        } else if parts.any(|part| part == Self::Failure) {
            Self::Failure
        } else {
            Self::Success
        }
    }
}

/// A document that a regulated number requires.
#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) id: Uuid,
    pub(super) value: Option<String>,
}

/// One number of an order. Its id is unrelated to the number's id in `/phone_numbers`.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: Uuid,
    pub(super) offer: &'static Offer,
    pub(super) sub_order_id: Uuid,
    pub(super) progress: Progress,
    pub(super) requirement: Option<Requirement>,
    pub(super) requirements_status: &'static str,
    pub(super) bundle_id: Option<String>,
}

/// The numbers of one country and type within an order.
#[derive(Debug)]
pub(super) struct SubOrder {
    pub(super) id: Uuid,
    pub(super) country: &'static str,
    pub(super) phone_number_type: &'static str,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: Uuid,
    pub(super) account: String,
    pub(super) items: Vec<Item>,
    pub(super) sub_orders: Vec<SubOrder>,
    pub(super) connection_id: Option<String>,
    pub(super) messaging_profile_id: Option<String>,
    pub(super) billing_group_id: Option<String>,
    pub(super) customer_reference: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    /// When it stopped being pending.
    pub(super) completed_at: Option<DateTime<Utc>>,
    /// How often it was read by id.
    pub(super) reads: u32,
}

impl Order {
    pub(super) fn progress(&self) -> Progress {
        Progress::of_all(self.items.iter().map(|item| item.progress))
    }

    pub(super) fn sub_order_progress(&self, sub_order: &SubOrder) -> Progress {
        Progress::of_all(self.items_of(sub_order).map(|item| item.progress))
    }

    pub(super) fn items_of<'o>(&'o self, sub_order: &SubOrder) -> impl Iterator<Item = &'o Item> + Clone {
        let id = sub_order.id;
        self.items.iter().filter(move |item| item.sub_order_id == id)
    }

    pub(super) fn requirements_met(&self) -> bool {
        self.items.iter().all(Item::requirements_met)
    }

    /// As in a list, with id and E.164 of its numbers only.
    pub(super) fn listed(&self) -> Value {
        let named = |item: &Item| json!({ "id": item.id, "phone_number": item.offer.phone_number });
        self.with_numbers(&self.items.iter().map(named).collect::<Vec<_>>())
    }

    /// As in a single answer and in an event.
    pub(super) fn detailed(&self) -> Value {
        self.with_numbers(&self.items.iter().map(Item::shown).collect::<Vec<_>>())
    }

    fn with_numbers(&self, phone_numbers: &[Value]) -> Value {
        json!({
            "id": self.id,
            "record_type": "number_order",
            "status": self.progress().name(),
            "phone_numbers_count": self.items.len(),
            "phone_numbers": phone_numbers,
            "sub_number_orders_ids": self.sub_orders.iter().map(|sub_order| sub_order.id).collect::<Vec<_>>(),
            "requirements_met": self.requirements_met(),
            "connection_id": self.connection_id,
            "messaging_profile_id": self.messaging_profile_id,
            "billing_group_id": self.billing_group_id,
            "customer_reference": self.customer_reference,
            "created_at": micros(self.created_at),
            "updated_at": micros(self.updated_at),
        })
    }
}

impl Item {
    pub(super) fn requirements_met(&self) -> bool {
        self.requirements_status == "approved"
    }

    pub(super) fn requirements(&self) -> Vec<Value> {
        let shown = |requirement: &Requirement| {
            json!({
                "record_type": "phone_number_regulatory_requirement",
                "requirement_id": requirement.id,
                "field_type": "textual",
                "field_value": requirement.value,
            })
        };
        self.requirement.iter().map(shown).collect()
    }

    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "record_type": "number_order_phone_number",
            "phone_number": self.offer.phone_number,
            "status": self.progress.name(),
            "requirements_met": self.requirements_met(),
            "requirements_status": self.requirements_status,
            "country_code": self.offer.range.country,
            "country_iso_alpha2": self.offer.range.country,
            "phone_number_type": self.offer.range.phone_number_type,
            "bundle_id": self.bundle_id,
            "regulatory_requirements": self.requirements(),
        })
    }

    /// As a resource of `/number_order_phone_numbers`.
    pub(super) fn detailed(&self, order: &Order, settings: &Settings) -> Value {
        let deadline = || json!(zulu_seconds(order.created_at + millis(settings.documents_deadline_ms)));
        let mut shown = self.shown();
        shown["order_request_id"] = json!(order.id);
        shown["sub_number_order_id"] = json!(self.sub_order_id);
        shown["locality"] = json!(self.offer.range.locality);
        shown["deadline"] = settings.documents_deadline.clone().unwrap_or_else(deadline);
        shown["is_block_number"] = json!(false);
        shown
    }

    /// Stores a body's value for its requirement, if it has one.
    pub(super) fn answer_all(&mut self, body: &Value) {
        let answers = body["regulatory_requirements"].as_array().map(Vec::as_slice).unwrap_or_default();
        for answer in answers {
            if let Some(value) = answer["field_value"].as_str() {
                self.answer(answer["requirement_id"].as_str(), value);
            }
        }
    }

    /// Stores the value of its requirement, which is then under review.
    fn answer(&mut self, requirement_id: Option<&str>, value: &str) {
        let Some(requirement) = &mut self.requirement else {
            return;
        };
        if self.progress == Progress::Pending && requirement_id.is_none_or(|id| requirement.id.to_string() == id) {
            requirement.value = Some(value.to_owned());
            self.requirements_status = "requirement-info-under-review";
        }
    }
}
