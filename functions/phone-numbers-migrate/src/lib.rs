//! `phone-numbers-migrate`: applies the migrations, for deployments from outside the database's network.
//!
//! It has no HTTP route. Invoked with `{}`, it answers with the names of the applied migrations. If a migration fails, the invocation
//! fails with the server's message. It also names a database without a name after the deployment (setting `DEPLOYMENT`), and refuses
//! the database of another deployment.
//!
//! Deployments invoke it asynchronously with `{"request": ID}`, and then ask for the outcome with `{"outcome": ID}`, because migrations
//! can take longer than a connection lives on which nothing is sent: [`requests`].

pub mod deployment;
mod earlier;
pub mod migrations;
pub mod requests;

use anyhow::{Result, anyhow};
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::Diagnostic;
use requests::Outcome;
use serde::Deserialize;
use serde_json::Value;
use shared::config::{Config, Database, Invalid};
use shared::secrets::Secrets;
use shared::store;
use tokio_postgres::Client;
use uuid::Uuid;

/// The function.
pub struct Migrate {
    /// Or why there are none: the settings cannot be used, and every invocation fails.
    settings: Result<Settings, Invalid>,
}

struct Settings {
    deployment: Option<String>,
    database: Database,
    secrets: Secrets,
}

/// What an invocation asks for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Event {
    /// Apply the migrations, once for this id, and record the outcome.
    request: Option<Uuid>,
    /// Answer with the outcome of the request with this id.
    outcome: Option<Uuid>,
}

impl Migrate {
    /// Performs no I/O.
    #[must_use]
    pub fn new(settings: Result<Config, Invalid>) -> Self {
        let used = |config: Config| {
            let secrets = Secrets::new(&config.aws, config.secrets_ttl);
            Settings { deployment: config.deployment, database: config.database, secrets }
        };
        Self { settings: settings.map(used) }
    }

    /// Applies the migrations that the database lacks, or answers with the outcome of an earlier invocation.
    ///
    /// # Errors
    /// `InvalidEvent` if the event is not one of those above. `MigrationFailed` with the full message: only deployments read it, so it
    /// need not hide anything.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Outcome, Diagnostic> {
        let is_object = event.payload.is_object();
        let event = match serde_json::from_value(event.payload) {
            Ok(event @ (Event { request: None, .. } | Event { outcome: None, .. })) if is_object => event,
            _ => {
                let error_message = "the event must be {}, {\"request\": ID} or {\"outcome\": ID} with a UUID".to_owned();
                return Err(Diagnostic { error_type: "InvalidEvent".to_owned(), error_message });
            }
        };
        let outcome = self.answer(event).await.map_err(|error| {
            let error_message = format!("{error:#}");
            tracing::error!(error = error_message, "the migrations failed");
            Diagnostic { error_type: "MigrationFailed".to_owned(), error_message }
        })?;
        if let Outcome::Applied { applied } = &outcome {
            tracing::info!(applied = applied.join(" "), "the database is up to date");
        }
        Ok(outcome)
    }

    async fn answer(&self, event: Event) -> Result<Outcome> {
        let Settings { deployment, database, secrets } = self.settings.as_ref().map_err(Clone::clone)?;
        let connected = store::connect(database, secrets).await;
        let mut client = connected.map_err(|error| anyhow!("connecting to the database: {error}"))?;
        let deployment = deployment.as_deref();
        match event {
            Event { request: Some(request), .. } => requests::run(&mut client, deployment, request).await,
            Event { outcome: Some(request), .. } => requests::outcome(&mut client, deployment, request).await,
            Event { .. } => Ok(Outcome::Applied { applied: migrate(&mut client, deployment).await? }),
        }
    }
}

/// Applies the migrations that a database lacks, and names it after `deployment` if it has no name. Returns the names of the
/// applied migrations.
///
/// # Errors
/// The database belongs to another deployment, in which case nothing is changed; and the errors of [`migrations::run`] and
/// [`deployment::name`].
pub async fn migrate(client: &mut Client, deployment: Option<&str>) -> Result<Vec<String>> {
    deployment::check(client, deployment).await?;
    let applied = migrations::run(client).await?;
    if let Some(name) = deployment {
        deployment::name(client, name).await?;
    } else {
        tracing::warn!("DEPLOYMENT is not set: a database without a name does not get one, and no numbers can be bought with it");
    }
    Ok(applied)
}
