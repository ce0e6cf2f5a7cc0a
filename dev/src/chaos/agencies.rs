//! The agencies of a run. They share the platform's account at Telnyx, except for one with an account of its own.

use anyhow::{Context, Result};
use uuid::Uuid;

use crate::demo::{self, Agency, Agent, User};
use crate::postgres::{connect, describe};

/// The number of agencies.
pub(super) const COUNT: usize = 4;
/// The agency with an account of its own.
pub(super) const INDEPENDENT: usize = 1;
/// The agencies that may be deleted: the one with an account of its own, and one without.
pub(super) const DELETABLE: [usize; 2] = [INDEPENDENT, 2];
/// The agency that adopts the numbers of deleted agencies.
pub(super) const ADOPTER: usize = 0;
/// The agency with a quota.
pub(super) const LIMITED: usize = COUNT - 1;
/// The quota.
pub(super) const QUOTA: usize = 2;
/// The number of agents of each agency.
pub(super) const AGENTS: usize = 2;

/// The role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// May call every function.
    Owner,
    /// May call every function but release.
    Admin,
}

const KEYS: [&str; COUNT] = ["chaos-a", "chaos-own", "chaos-c", "chaos-small"];
const APPLICATIONS: [&str; COUNT] = ["1293384261075731601", "1293384261075731602", "1293384261075731603", "1293384261075731604"];
const NAMES: [&str; AGENTS] = ["Reception", "Night line"];

pub(super) fn agency(index: usize) -> Uuid {
    id(1, index, 0)
}

pub(super) fn user(agency: usize, role: Role) -> Uuid {
    id(2, agency, usize::from(role == Role::Admin))
}

pub(super) fn agent(agency: usize, index: usize) -> Uuid {
    id(3, agency, index)
}

/// The id of an agency's `index`th object of a kind.
fn id(kind: u8, agency: usize, index: usize) -> Uuid {
    Uuid::from_u128(0xc4a0_0000_0000_4000_8000_0000_0000_0000 | u128::from(kind) << 32 | (agency as u128) << 16 | index as u128)
}

/// Inserts all agencies into the database at `url`. Existing rows stay unchanged.
pub(super) async fn seed(url: &str) -> Result<()> {
    let of_each = || 0..COUNT;
    let agencies: Vec<_> = of_each()
        .map(|index| Agency { key: KEYS[index], id: agency(index), name: KEYS[index], telnyx_application_id: APPLICATIONS[index] })
        .collect();
    let users: Vec<_> = of_each()
        .flat_map(|index| {
            [(Role::Owner, "agency_owner"), (Role::Admin, "agency_admin")].map(|(role, name)| User {
                key: name,
                id: user(index, role),
                agency: Some(agency(index)),
                role: name,
                email: "somebody@chaos.example",
            })
        })
        .collect();
    let agents: Vec<_> = of_each()
        .flat_map(|index| (0..AGENTS).map(move |number| (index, number)))
        .map(|(index, number)| Agent {
            id: agent(index, number),
            agency: agency(index),
            ultravox_agent_id: NAMES[number],
            name: NAMES[number],
            voice: "Mark",
            language_hint: "en",
        })
        .collect();
    demo::insert(url, &agencies, &users, &agents).await.context("seeding the agencies")?;
    let limit = "update agencies set settings = jsonb_build_object('max_phone_numbers', $2::text) where id = $1";
    connect(url).await?.execute(limit, &[&agency(LIMITED), &QUOTA.to_string()]).await.map_err(|error| describe(&error))?;
    Ok(())
}
