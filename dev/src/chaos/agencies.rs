//! Who takes part: agencies that share the platform's account at Telnyx, but for one with an account of its own.

use anyhow::{Context, Result};
use uuid::Uuid;

use crate::demo::{self, Agency, Agent, User};
use crate::postgres::{connect, describe};

/// How many there are.
pub(super) const COUNT: usize = 4;
/// The one that has an account of its own.
pub(super) const INDEPENDENT: usize = 1;
/// Those that may be deleted: the one that buys in an account of its own, and one that does not.
pub(super) const DELETABLE: [usize; 2] = [INDEPENDENT, 2];
/// The one that gets what is left of those that were deleted.
pub(super) const ADOPTER: usize = 0;
/// The one that may not have as many numbers as it likes.
pub(super) const LIMITED: usize = COUNT - 1;
/// How many it may have.
pub(super) const QUOTA: usize = 2;
/// How many agents each of them has.
pub(super) const AGENTS: usize = 2;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// May do everything.
    Owner,
    /// May do everything but release.
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

/// The `index`th thing of a kind that an agency has.
fn id(kind: u8, agency: usize, index: usize) -> Uuid {
    Uuid::from_u128(0xc4a0_0000_0000_4000_8000_0000_0000_0000 | u128::from(kind) << 32 | (agency as u128) << 16 | index as u128)
}

/// Puts all of them into the database at `url`; those that are there are left as they are.
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
