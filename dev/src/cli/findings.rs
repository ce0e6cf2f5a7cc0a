//! `cargo dev findings`: the findings of the comparison with Telnyx, and the operator's decisions.

use anyhow::{Result, bail};
use clap::Subcommand;
use shared::model::E164;
use shared::store::{Adoption, Dismissal, Finding, Store};
use uuid::Uuid;

use crate::postgres::connection::store;

/// The maximum number of rows that are listed for a finding.
const SHOWN: usize = 20;

/// What to do about a finding. Neither sends a request to Telnyx.
#[derive(Debug, Subcommand)]
pub(super) enum Decision {
    /// Do as the finding suggests: give the number to the agency, deactivate the rows, accept the key, give up the purchase, or
    /// record the number's account in the ledger.
    Adopt {
        /// The finding.
        id: Uuid,
        /// The number to adopt, if the finding is about several. The others stay.
        #[arg(long)]
        number: Option<E164>,
        /// The agency that gets the number, if the finding names none or one that no longer exists.
        #[arg(long)]
        agency: Option<Uuid>,
    },
    /// Change nothing, and do not report it again.
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
        Some(Decision::Adopt { id, number, agency }) => adopt(&store, id, number, agency).await,
        Some(Decision::Dismiss { id }) => {
            match store.dismiss_finding(id).await.map_err(explained)? {
                Dismissal::Dismissed => println!("dismissed"),
                Dismissal::NoSuchFinding => bail!("there is no open finding {id}"),
            }
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

async fn adopt(store: &Store, id: Uuid, number: Option<E164>, agency: Option<Uuid>) -> Result<()> {
    match store.adopt_finding(id, number.as_ref(), agency).await.map_err(explained)? {
        Adoption::Adopted(row_id) => println!("adopted: the number has the row {row_id}"),
        Adoption::Deactivated(rows) => println!("adopted: {rows} rows are inactive"),
        Adoption::Vouched(count) => println!("adopted: {count} purchases and releases go on with this key"),
        Adoption::GivenUp(count) => println!("adopted: {count} purchases are given up"),
        Adoption::Moved => println!("adopted: the ledger has the number in the account of the finding"),
        Adoption::NothingToDo => bail!("the finding {id} has no suggestion that can be carried out here: resolve it, or dismiss it"),
        Adoption::NoSuchFinding => bail!("there is no open finding {id}"),
        Adoption::NumberNeeded => bail!("name the number to adopt, with --number"),
        Adoption::NoSuchNumber => bail!("the finding {id} is not about this number"),
        Adoption::AgencyNeeded => bail!("name the agency that gets the number, with --agency"),
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
        ("numbers", Some(observation.number_count.to_string()).filter(|_| observation.number_count != 1)),
        ("account", Some(observation.account.clone())),
        ("key", observation.key_digest.map(|digest| format!("SHA-256 {digest}"))),
        ("agency", observation.agency_id.map(|id| id.to_string())),
        ("rows", rows(&observation.row_ids)),
        ("seen", Some(format!("{} to {}", finding.first_seen_at.to_rfc3339(), finding.last_seen_at.to_rfc3339()))),
    ];
    let known = facts.into_iter().filter_map(|(name, fact)| Some(format!("\n  {name:<12} {}", fact?)));
    format!("{} {}\n  {}{}", finding.id, observation.kind.as_str(), observation.detail, known.collect::<String>())
}

/// The affected rows, up to the maximum.
fn rows(ids: &[Uuid]) -> Option<String> {
    let (shown, more) = ids.split_at(ids.len().min(SHOWN));
    let shown = shown.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" ");
    match more.len() {
        0 => Some(shown).filter(|shown| !shown.is_empty()),
        more => Some(format!("{shown} and {more} more")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
pub(super) fn explained(error: shared::error::Error) -> anyhow::Error {
    anyhow::Error::msg(error.to_string()).context("the database refused")
}
