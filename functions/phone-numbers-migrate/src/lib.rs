//! `phone-numbers-migrate`: the migrations, for a deployment that cannot reach the database by itself.
//!
//! It is invoked rather than called over HTTP, with `{}`, and answers with the names of what it applied. When a migration
//! fails, so does the invocation, with all that the server said.

pub mod migrations;

use anyhow::{Result, anyhow};
use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};
use shared::config::{Config, Database};
use shared::secrets::Secrets;
use shared::store;

/// The function.
pub struct Migrate {
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
    /// Talks to nobody yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { database: config.database.clone(), secrets: Secrets::new(&config.aws, config.secrets_ttl) }
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
        migrations::run(&mut client).await
    }
}
