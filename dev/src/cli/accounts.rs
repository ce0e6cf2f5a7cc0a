//! `cargo dev accounts`: the Telnyx accounts that a database names.

use anyhow::{Result, ensure};
use clap::Subcommand;
use shared::model::AccountName;

use super::findings::explained;
use crate::postgres::connection::store;

/// The change.
#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Renames an account wherever the database names it. Needed if the account has the name of a secret that the settings no
    /// longer name; `phone-numbers-reconcile` renames the others.
    Rename {
        /// The name in the database.
        from: String,
        /// `platform`, or `agency:` and the agency's id.
        to: String,
    },
}

/// Lists the names, or changes one.
pub(super) async fn run(database_url: &str, change: Option<Change>) -> Result<()> {
    let store = store(database_url)?;
    let names = store.account_names().await.map_err(explained)?;
    match change {
        None => names.iter().for_each(|name| println!("{name}")),
        Some(Change::Rename { from, to }) => {
            ensure!(names.contains(&from), "the database names no account {from}");
            ensure!(
                !matches!(AccountName::from(to.as_str()), AccountName::Secret(_)),
                "an account is called `platform`, or `agency:` and the agency's id"
            );
            let rows = store.rename_account(&from, &to).await.map_err(explained)?;
            println!("{from} is {to} now, in {rows} purchases and releases");
        }
    }
    Ok(())
}
