//! How a row of `agency_phone_numbers` is read.

use crate::error::Error;
use crate::model::{AgentMapping, PendingPurchase, PhoneNumber};
use crate::store::tenant::{InOrder, TenantRow};

/// Declares the columns of `agency_phone_numbers` that callers see, in the order of [`PhoneNumber`]. Each is named once: the
/// macros for statements and the mapping of a row follow from the list. A column `as text` is an enum; see
/// docs/decisions/0017.
macro_rules! declare {
    ($first:ident $(, $column:ident $(as $type:ident)?)* $(,)?) => {
        /// Every column of a row `n` as it is stored.
        macro_rules! stored_columns {
            () => {
                concat!("n.", stringify!($first) $(, ", n.", stringify!($column))*)
            };
        }

        /// Every column of a row `n` as it is read.
        macro_rules! columns {
            () => {
                concat!(
                    "n.", stringify!($first)
                    $(, ",\n       n.", stringify!($column) $(, "::", stringify!($type), " as ", stringify!($column))?)*
                )
            };
        }

        /// Reads a row of the columns in [`shown_columns`].
        pub(in crate::store) fn phone_number(row: TenantRow<'_>) -> Result<PhoneNumber, Error> {
            let row = &row.in_order();
            Ok(PhoneNumber {
                $first: row.column(stringify!($first))?,
                $($column: row.column(stringify!($column))?,)*
                agent_mappings: agent_mapping(row)?,
                purchase: pending_purchase(row)?,
            })
        }
    };
}

declare! {
    id,
    agency_id,
    phone_number,
    phone_number_id,
    friendly_name,
    number_type,
    country_code,
    voice_enabled,
    sms_enabled,
    mms_enabled,
    agent_mapping_id,
    direction as text,
    monthly_cost,
    setup_cost,
    currency,
    status as text,
    is_active,
    purchased_at,
    released_at,
    created_at,
    updated_at,
}

/// Every column that [`phone_number`] reads: the row's, those of its agent `m`, and those of the purchase `o` that a pending
/// row waits for.
macro_rules! shown_columns {
    () => {
        concat!(
            columns!(),
            ",
       m.agency_id as agent_agency_id,
       m.id as agent_id,
       m.ultravox_agent_id,
       m.ultravox_agent_name,
       m.voice,
       m.language_hint,
       m.recording_enabled,
       o.agency_id as purchase_agency_id,
       o.requirements_met,
       o.requirements_deadline"
        )
    };
}

/// The joins that [`shown_columns`] needs. An agent is joined by its agency too: if the platform moves one to another agency,
/// the row shows no agent rather than another tenant's. `limit 1` has both looked up for each row, and never all of them read, for
/// a database of any size.
macro_rules! shown_joins {
    () => {
        "left join lateral (
  select o.agency_id, o.requirements_met, o.requirements_deadline
  from phone_number_purchases o
  where o.agency_phone_number_id = n.id
    and n.status = 'pending'
    and o.phase in ('intended', 'ordering', 'ordered')
  limit 1
) o on true
left join lateral (
  select m.agency_id, m.id, m.ultravox_agent_id, m.ultravox_agent_name, m.voice, m.language_hint, m.recording_enabled
  from agent_mappings m
  where m.id = n.agent_mapping_id
    and m.agency_id = n.agency_id
  limit 1
) m on true"
    };
}

fn pending_purchase(row: &InOrder<'_>) -> Result<Option<PendingPurchase>, Error> {
    if !row.is_joined("purchase_agency_id")? {
        return Ok(None);
    }
    Ok(Some(PendingPurchase {
        requirements_met: row.column("requirements_met")?,
        requirements_deadline: row.column("requirements_deadline")?,
    }))
}

fn agent_mapping(row: &InOrder<'_>) -> Result<Option<AgentMapping>, Error> {
    if !row.is_joined("agent_agency_id")? {
        return Ok(None);
    }
    Ok(Some(AgentMapping {
        id: row.column("agent_id")?,
        ultravox_agent_id: row.column("ultravox_agent_id")?,
        ultravox_agent_name: row.column("ultravox_agent_name")?,
        voice: row.column("voice")?,
        language_hint: row.column("language_hint")?,
        recording_enabled: row.column("recording_enabled")?,
    }))
}
