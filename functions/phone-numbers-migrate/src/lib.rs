//! `phone-numbers-migrate`: applies the migrations, for deployments from outside the database's network.
//!
//! Deployments invoke it with `{}`; it has no HTTP route. It answers with the names of the applied migrations. If a migration
//! fails, the invocation fails with the server's message. It also names a database without a name after the deployment (setting
//! `DEPLOYMENT`), and refuses the database of another deployment.

pub mod deployment;
mod earlier;
pub mod migrations;

use anyhow::{Result, anyhow};
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::config::{Config, Database, Invalid};
use shared::secrets::Secrets;
use shared::store;
use tokio_postgres::Client;

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

/// The answer to an invocation.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The names of the applied migrations, in order.
    pub applied: Vec<String>,
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

    /// Applies the migrations that the database lacks.
    ///
    /// # Errors
    /// `InvalidEvent` if the event is not an empty object. `MigrationFailed` with the full message: only deployments read it, so it
    /// need not hide anything.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Answer, Diagnostic> {
        if !event.payload.as_object().is_some_and(Map::is_empty) {
            let error_message = "the event must be an empty object".to_owned();
            return Err(Diagnostic { error_type: "InvalidEvent".to_owned(), error_message });
        }
        let applied = self.apply().await.map_err(|error| {
            let error_message = format!("{error:#}");
            tracing::error!(error = error_message, "the migrations failed");
            Diagnostic { error_type: "MigrationFailed".to_owned(), error_message }
        })?;
        tracing::info!(applied = applied.join(" "), "the database is up to date");
        Ok(Answer { applied })
    }

    async fn apply(&self) -> Result<Vec<String>> {
        let Settings { deployment, database, secrets } = self.settings.as_ref().map_err(Clone::clone)?;
        let connected = store::connect(database, secrets).await;
        let mut client = connected.map_err(|error| anyhow!("connecting to the database: {error}"))?;
        migrate(&mut client, deployment.as_deref()).await
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
