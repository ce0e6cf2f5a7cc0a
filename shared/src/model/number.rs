//! A number's row, its agent and its history, as callers see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::values::{Direction, Money, Status};

/// A row of `agency_phone_numbers`, with the agent it is assigned to.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(clippy::struct_excessive_bools, reason = "the columns of the table")]
pub struct PhoneNumber {
    /// The row's id. Requests name a number by it, also where the parameter is called `phone_number_id`.
    pub id: Uuid,
    /// The agency that holds the number.
    pub agency_id: Uuid,
    /// The number itself, in E.164.
    pub phone_number: String,
    /// Telnyx's id of the number, not ours: the parameter `phone_number_id` of requests is `id`. Null until the purchase is
    /// confirmed.
    pub phone_number_id: Option<String>,
    /// The agency's own label. It is stored as given: an export to a spreadsheet has to escape a leading `=`, `+`, `-` or `@`.
    pub friendly_name: Option<String>,
    /// `local`, `toll_free`, …, in Telnyx's words; null until its purchase is confirmed.
    pub number_type: Option<String>,
    /// ISO 3166-1 alpha-2; null until its purchase is confirmed.
    pub country_code: Option<String>,
    /// Whether the number takes calls.
    pub voice_enabled: bool,
    /// Whether the number takes SMS.
    pub sms_enabled: bool,
    /// Whether the number takes MMS.
    pub mms_enabled: bool,
    /// The id of the agent mapping that the number is assigned to.
    pub agent_mapping_id: Option<Uuid>,
    /// The default direction of calls.
    pub direction: Option<Direction>,
    /// Paid every month, in `currency`.
    pub monthly_cost: Option<Money>,
    /// Paid once, in `currency`.
    pub setup_cost: Option<Money>,
    /// The currency of both costs: ISO 4217.
    pub currency: String,
    /// Where the number is in its life.
    pub status: Status,
    /// False once its release has begun.
    pub is_active: bool,
    /// When its purchase was confirmed.
    pub purchased_at: Option<DateTime<Utc>>,
    /// When it was given back.
    pub released_at: Option<DateTime<Utc>>,
    /// When the row was created.
    pub created_at: DateTime<Utc>,
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
    /// The agent it is assigned to, in full.
    pub agent_mappings: Option<AgentMapping>,
    /// What the purchase waits for, while the number is pending.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<PendingPurchase>,
}

/// The documents that the purchase of a pending number waits for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingPurchase {
    /// Whether Telnyx has every document that it requires; null until Telnyx has said it.
    pub requirements_met: Option<bool>,
    /// Until when Telnyx waits for missing documents; null if it does not say.
    pub requirements_deadline: Option<DateTime<Utc>>,
}

/// An entry of the history of a row.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// `bought`, `assigned`, `unassigned`, `changed`, `released`, `reconciled` or `deleted`.
    pub event: String,
    /// The user's id, or `reconcile`, `operator` or `platform`.
    pub actor: String,
    /// For each column that changed, what it was (`from`) and became (`to`). Empty if that takes more than 10,000 bytes.
    pub changes: serde_json::Value,
}

/// An agent of the platform, as a number's row shows it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentMapping {
    /// The mapping's id.
    pub id: Uuid,
    /// The agent's id at Ultravox.
    pub ultravox_agent_id: String,
    /// The agent's name.
    pub ultravox_agent_name: Option<String>,
    /// The agent's voice.
    pub voice: Option<String>,
    /// The language it expects: a BCP 47 tag.
    pub language_hint: String,
    /// Whether its calls are recorded.
    pub recording_enabled: bool,
}

/// An agent that a number could be assigned to.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AvailableAgent {
    /// The mapping's id.
    pub id: Uuid,
    /// The agent's id at Ultravox.
    pub ultravox_agent_id: String,
    /// The agent's name.
    pub ultravox_agent_name: Option<String>,
    /// The agent's voice.
    pub voice: Option<String>,
}
