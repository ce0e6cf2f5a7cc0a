//! A number of an account, and how Telnyx shows it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clock::{zulu_millis, zulu_seconds},
    order::{Item, Order},
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
    /// When the number becomes visible. Also its `created_at`.
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
    /// After a deletion: how many more reads still see it.
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
            voice: default_voice(),
            reads_left: None,
        }
    }

    pub(super) fn connection_name(&self) -> Option<String> {
        self.connection_id.as_ref().map(|id| format!("connection {id}"))
    }

    /// Whether `id` is its id or its E.164.
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

/// The voice settings of a new number.
fn default_voice() -> Value {
    json!({
        "tech_prefix_enabled": false,
        "translated_number": "",
        "caller_id_name_enabled": false,
        "usage_payment_method": "pay-per-minute",
        "inbound_call_screening": "disabled",
        "call_forwarding": { "call_forwarding_enabled": true, "forwards_to": "", "forwarding_type": "always" },
        "cnam_listing": { "cnam_listing_enabled": false, "cnam_listing_details": "" },
        "media_features": { "rtp_auto_adjust_enabled": true, "accept_any_rtp_packets_enabled": false, "t38_fax_gateway_enabled": false },
        "call_recording": { "inbound_call_recording_enabled": false, "inbound_call_recording_format": "wav", "inbound_call_recording_channels": "single" },
    })
}
