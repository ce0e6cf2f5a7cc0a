//! A reservation of numbers, and how Telnyx shows it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::micros;

#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) id: Uuid,
    pub(super) account: String,
    pub(super) numbers: Vec<Reserved>,
    pub(super) customer_reference: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) extended: bool,
}

#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) id: Uuid,
    pub(super) phone_number: &'static str,
    /// No longer reserved, as it was ordered.
    pub(super) used: bool,
}

impl Reservation {
    /// Whether it reserves a number at `now`.
    pub(super) fn reserves(&self, phone_number: &str, now: DateTime<Utc>) -> bool {
        now < self.expires_at && self.numbers.iter().any(|reserved| reserved.phone_number == phone_number && !reserved.used)
    }

    /// Ends the reservation of a number that was ordered.
    pub(super) fn use_up(&mut self, phone_number: &str) {
        self.numbers.iter_mut().filter(|reserved| reserved.phone_number == phone_number).for_each(|reserved| reserved.used = true);
    }

    pub(super) fn shown(&self) -> Value {
        let number = |reserved: &Reserved| {
            json!({
                "id": reserved.id,
                "record_type": "reserved_phone_number",
                "phone_number": reserved.phone_number,
                "status": "success",
                "created_at": micros(self.created_at),
                "updated_at": micros(self.updated_at),
                "expired_at": micros(self.expires_at),
            })
        };
        json!({
            "id": self.id,
            "record_type": "number_reservation",
            "status": "success",
            "phone_numbers": self.numbers.iter().map(number).collect::<Vec<_>>(),
            "customer_reference": self.customer_reference,
            "created_at": micros(self.created_at),
            "updated_at": micros(self.updated_at),
        })
    }
}
