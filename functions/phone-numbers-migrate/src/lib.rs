//! `phone-numbers-migrate`: the migrations, for a deployment that cannot reach the database by itself.
//!
//! It is invoked rather than called over HTTP, with `{}`, and answers with the names of what it applied. When a migration
//! fails, so does the invocation, with all that the server said. It also gives a database without a name that of the
//! deployment (setting `DEPLOYMENT`), and refuses the database of another one.

pub mod deployment;
mod earlier;
pub mod migrations;

use anyhow::{Result, anyhow};
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};
use shared::config::{Config, Database};
use shared::secrets::Secrets;
use shared::store;
use tokio_postgres::Client;

/// The function.
pub struct Migrate {
    deployment: Option<String>,
    database: Database,
    secrets: Secrets,
}

/// What it is asked: there is nothing to choose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {}

/// What it answers.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The migrations that the database lacked, in their order.
    pub applied: Vec<String>,
}

impl Migrate {
    /// Performs no I/O.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let secrets = Secrets::new(&config.aws, config.secrets_ttl);
        Self { deployment: config.deployment.clone(), database: config.database.clone(), secrets }
    }

    /// Applies what the database lacks.
    ///
    /// # Errors
    /// What kept it from that. Whoever deploys reads it, and may know everything.
    pub async fn handle(&self, _event: LambdaEvent<Request>) -> Result<Answer, Diagnostic> {
        let applied = self.apply().await.map_err(|error| {
            let error_message = format!("{error:#}");
            tracing::error!(error = error_message, "the migrations failed");
            Diagnostic { error_type: "MigrationFailed".to_owned(), error_message }
        })?;
        tracing::info!(applied = applied.join(" "), "the database is up to date");
        Ok(Answer { applied })
    }

    async fn apply(&self) -> Result<Vec<String>> {
        let connected = store::connect(&self.database, &self.secrets).await;
        let mut client = connected.map_err(|error| anyhow!("connecting to the database: {error}"))?;
        migrate(&mut client, self.deployment.as_deref()).await
    }
}

/// Applies the migrations that a database lacks, gives it the name of the deployment if it has none, and returns the names of
/// the migrations. Without `deployment` the name stays as it is.
///
/// # Errors
/// The database belongs to another deployment, which changes nothing; as [`migrations::run`] and [`deployment::name`].
pub async fn migrate(client: &mut Client, deployment: Option<&str>) -> Result<Vec<String>> {
    deployment::check(client, deployment).await?;
    let applied = migrations::run(client).await?;
    if let Some(name) = deployment {
        deployment::name(client, name).await?;
    } else {
        tracing::warn!("DEPLOYMENT is not set: a database without a name stays so, and nothing can be bought with it");
    }
    Ok(applied)
}
