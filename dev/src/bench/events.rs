//! What the programs are invoked with: requests that Postgres has to be asked about, and Telnyx has not.

use std::fs;

use anyhow::{Context, Result};
use axum::body::Bytes;
use chrono::Utc;
use serde_json::{Value, json};

use super::fixture::Fixture;
use crate::{demo, workspace};

/// An event, and the status of the right answer.
pub(super) struct Event {
    pub(super) body: Bytes,
    pub(super) status: u16,
}

impl Event {
    /// The event for a program. Those of which no function has the name are references for list.
    pub(super) fn of(program: &str, fixture: &Fixture) -> Result<Self> {
        let (event, status) = match program {
            "phone-numbers-assign" => (queried("assign-get", &[("id", &fixture.row_id().to_string())], "owner", fixture)?, 200),
            // A role that may not do it: otherwise Telnyx would be asked.
            "phone-numbers-search" => (authorized("search", "client_viewer", fixture)?, 403),
            "phone-numbers-purchase" => (authorized("purchase", "member", fixture)?, 403),
            "phone-numbers-release" => (authorized("release", "member", fixture)?, 403),
            "phone-numbers-reconcile" => (webhook(fixture)?, 200),
            _ => (queried("list", &[("limit", "50")], "owner", fixture)?, 200),
        };
        Ok(Self { body: event.to_string().into(), status })
    }
}

pub(super) fn read(name: &str) -> Result<Value> {
    let path = workspace::root().join("events").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

fn authorized(name: &str, user: &str, fixture: &Fixture) -> Result<Value> {
    let mut event = read(name)?;
    let user = demo::USERS.iter().find(|known| known.key == user).context("there is no such user")?;
    event["headers"]["authorization"] = json!(format!("Bearer {}", fixture.issuer().token(user.id, user.email)));
    Ok(event)
}

fn queried(name: &str, parameters: &[(&str, &str)], user: &str, fixture: &Fixture) -> Result<Value> {
    let mut event = authorized(name, user, fixture)?;
    event["rawQueryString"] = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&").into();
    event["queryStringParameters"] = parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Value>();
    Ok(event)
}

/// A webhook about an order that no purchase knows, signed now.
fn webhook(fixture: &Fixture) -> Result<Value> {
    let mut event = read("reconcile-forged-webhook")?;
    let timestamp = Utc::now().timestamp().to_string();
    let body = event["body"].as_str().context("the webhook has no body")?;
    let signature = fixture.sign(format!("{timestamp}|{body}").as_bytes());
    event["headers"]["telnyx-timestamp"] = timestamp.into();
    event["headers"]["telnyx-signature-ed25519"] = signature.into();
    Ok(event)
}
