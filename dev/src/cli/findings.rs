//! `cargo dev findings`: what a comparison with Telnyx has left to a person, and what that person decides.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Subcommand;
use shared::secrets::Secrets;
use shared::store::{Adoption, Finding, Store};
use uuid::Uuid;

use crate::postgres::connection::settings;

/// What to do about a finding. Telnyx is asked for nothing, whatever it is.
#[derive(Debug, Subcommand)]
pub(super) enum Decision {
    /// Do as the finding suggests: the number becomes the agency's, or the rows are switched off.
    Adopt {
        /// The finding.
        id: Uuid,
        /// The agency whose number it is to be, where the finding does not say or that agency is gone.
        #[arg(long)]
        agency: Option<Uuid>,
    },
    /// Leave everything as it is, and do not tell of it again.
    Dismiss {
        /// The finding.
        id: Uuid,
    },
}

/// Lists the findings, or decides one.
pub(super) async fn run(database_url: &str, decision: Option<Decision>) -> Result<()> {
    let store = store(database_url)?;
    match decision {
        None => list(&store).await,
        Some(Decision::Adopt { id, agency }) => adopt(&store, id, agency).await,
        Some(Decision::Dismiss { id }) => {
            if !store.dismiss_finding(id).await.map_err(explained)? {
                bail!("there is no open finding {id}");
            }
            println!("dismissed");
            Ok(())
        }
    }
}

async fn list(store: &Store) -> Result<()> {
    let findings = store.open_findings().await.map_err(explained)?;
    for finding in &findings {
        println!("{}\n", described(finding));
    }
    println!("{} open", findings.len());
    Ok(())
}

async fn adopt(store: &Store, id: Uuid, agency: Option<Uuid>) -> Result<()> {
    match store.adopt_finding(id, agency).await.map_err(explained)? {
        Adoption::Adopted(row_id) => println!("adopted: the number has the row {row_id}"),
        Adoption::Deactivated(rows) => println!("adopted: {rows} rows are inactive"),
        Adoption::NoSuchFinding => bail!("there is no open finding {id}"),
        Adoption::AgencyNeeded => bail!("name the agency whose number it is to be, with --agency"),
        Adoption::Held => bail!("a live row has this number: release it first"),
    }
    Ok(())
}

fn described(finding: &Finding) -> String {
    let observation = &finding.observation;
    let facts = [
        ("number", observation.number.clone()),
        ("Telnyx's id", observation.phone_number_id.clone()),
        ("reference", observation.reference.clone()),
        ("account", Some(observation.account.clone())),
        ("agency", observation.agency_id.map(|id| id.to_string())),
        ("rows", Some(observation.row_ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" ")).filter(|rows| !rows.is_empty())),
        ("seen", Some(format!("{} to {}", finding.first_seen_at.to_rfc3339(), finding.last_seen_at.to_rfc3339()))),
    ];
    let known = facts.into_iter().filter_map(|(name, fact)| Some(format!("\n  {name:<12} {}", fact?)));
    format!("{} {}\n  {}{}", finding.id, observation.kind.as_str(), observation.detail, known.collect::<String>())
}

/// The product's own access to the database, by an address alone.
pub(super) fn store(database_url: &str) -> Result<Store> {
    let config = settings(database_url)?;
    Ok(Store::new(&config, Arc::new(Secrets::new(&config.aws, config.secrets_ttl))))
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
pub(super) fn explained(error: shared::error::Error) -> anyhow::Error {
    anyhow::Error::msg(error.to_string()).context("the database refused")
}
