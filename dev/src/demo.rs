//! Demo data: two agencies that share one Telnyx account, users of every role, some agents, and no phone numbers. The ids are
//! always the same.

use anyhow::{Context, Result};
use uuid::Uuid;

use crate::postgres::{connect, describe};

/// An agency of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Agency {
    /// Its key in the ready file, and its slug.
    pub key: &'static str,
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: &'static str,
    /// Its Call Control application at Telnyx.
    pub telnyx_application_id: &'static str,
}

/// A user of the demo.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// Its key in the ready file.
    pub key: &'static str,
    /// The user's id, which is the `sub` of a token.
    pub id: Uuid,
    /// `None` for a user of the platform.
    pub agency: Option<Uuid>,
    /// A value of the enum `user_role`.
    pub role: &'static str,
    /// The user's email address.
    pub email: &'static str,
}

/// An agent of the demo: a row of `agent_mappings`.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    /// Its id.
    pub id: Uuid,
    /// The agency that owns it.
    pub agency: Uuid,
    /// Its id at Ultravox.
    pub ultravox_agent_id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its voice.
    pub voice: &'static str,
    /// The language it expects.
    pub language_hint: &'static str,
}

/// The agency that the demo uses.
pub const DEMO: Agency = Agency { key: "demo", id: id(1, 1), name: "Demo Agency", telnyx_application_id: "1293384261075731499" };

/// Another agency, which must see nothing of the first.
pub const OTHER: Agency = Agency { key: "other", id: id(1, 2), name: "Other Agency", telnyx_application_id: "1293384261075731500" };

/// Both agencies.
pub const AGENCIES: [Agency; 2] = [DEMO, OTHER];

/// Every user.
pub const USERS: [User; 7] = [
    user("owner", id(2, 1), Some(DEMO.id), "agency_owner", "owner@demo.example"),
    user("admin", id(2, 2), Some(DEMO.id), "agency_admin", "admin@demo.example"),
    user("member", id(2, 3), Some(DEMO.id), "agency_member", "member@demo.example"),
    user("client_viewer", id(2, 4), Some(DEMO.id), "client_viewer", "viewer@client.example"),
    user("other_owner", id(2, 5), Some(OTHER.id), "agency_owner", "owner@other.example"),
    user("client_admin", id(2, 6), Some(DEMO.id), "client_admin", "admin@client.example"),
    user("platform_admin", id(2, 7), None, "admin", "admin@platform.example"),
];

/// Every agent.
pub const AGENTS: [Agent; 4] = [
    agent(id(3, 1), DEMO.id, "5b1f6c2e-0f4e-4c0e-9d38-1b6a2f0c7a01", "Reception", "Mark", "en"),
    agent(id(3, 2), DEMO.id, "5b1f6c2e-0f4e-4c0e-9d38-1b6a2f0c7a02", "Ventas", "Lucia", "es"),
    agent(id(3, 3), OTHER.id, "5b1f6c2e-0f4e-4c0e-9d38-1b6a2f0c7a03", "Front Desk", "Jessica", "en"),
    agent(id(3, 4), OTHER.id, "5b1f6c2e-0f4e-4c0e-9d38-1b6a2f0c7a04", "Empfang", "Hans", "de"),
];

/// The id of the demo's `number`th object of a kind.
const fn id(kind: u16, number: u16) -> Uuid {
    Uuid::from_u128(0xde30_0000_0000_4000_8000_0000_0000_0000 | ((kind as u128) << 16) | number as u128)
}

const fn user(key: &'static str, id: Uuid, agency: Option<Uuid>, role: &'static str, email: &'static str) -> User {
    User { key, id, agency, role, email }
}

const fn agent(
    id: Uuid,
    agency: Uuid,
    ultravox_agent_id: &'static str,
    name: &'static str,
    voice: &'static str,
    language_hint: &'static str,
) -> Agent {
    Agent { id, agency, ultravox_agent_id, name, voice, language_hint }
}

const INSERT_AGENCY: &str = "\
-- demo.insert_agency
insert into agencies (id, name, slug, telnyx_application_id, telephony_configured)
values ($1 /* id */, $2 /* name */, $3 /* slug */, $4 /* telnyx_application_id */, true)
on conflict (id) do nothing";

const INSERT_USER: &str = "\
-- demo.insert_user
insert into users (id, agency_id, role, email)
values ($1 /* id */, $2 /* agency_id */, $3 /* role */::text::user_role, $4 /* email */)
on conflict (id) do nothing";

const INSERT_AGENT: &str = "\
-- demo.insert_agent
insert into agent_mappings (id, agency_id, ultravox_agent_id, ultravox_agent_name, voice, language_hint)
values ($1 /* id */, $2 /* agency_id */, $3 /* ultravox_agent_id */, $4 /* name */, $5 /* voice */, $6 /* language_hint */)
on conflict (id) do nothing";

/// The ids of an agency's agents.
#[must_use]
pub fn agents_of(agency: Uuid) -> Vec<Uuid> {
    AGENTS.iter().filter(|agent| agent.agency == agency).map(|agent| agent.id).collect()
}

/// Inserts the demo data into the database at `url`. Existing rows stay unchanged.
///
/// # Errors
/// If the platform's tables are missing or have an unexpected form.
pub async fn seed(url: &str) -> Result<()> {
    insert(url, &AGENCIES, &USERS, &AGENTS).await.context("seeding the demo")
}

/// Inserts agencies, users and agents into the database at `url`. Existing rows stay unchanged.
///
/// # Errors
/// If the platform's tables are missing or have an unexpected form.
pub async fn insert(url: &str, agencies: &[Agency], users: &[User], agents: &[Agent]) -> Result<()> {
    let mut client = connect(url).await?;
    let seeded = async {
        let transaction = client.transaction().await?;
        for Agency { key, id, name, telnyx_application_id } in agencies {
            transaction.execute(INSERT_AGENCY, &[id, name, key, telnyx_application_id]).await?;
        }
        for User { id, agency, role, email, .. } in users {
            transaction.execute(INSERT_USER, &[id, agency, role, email]).await?;
        }
        for Agent { id, agency, ultravox_agent_id, name, voice, language_hint } in agents {
            transaction.execute(INSERT_AGENT, &[id, agency, ultravox_agent_id, name, voice, language_hint]).await?;
        }
        transaction.commit().await
    };
    seeded.await.map_err(|error| describe(&error))
}
