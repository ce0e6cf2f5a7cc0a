//! `cargo dev deployment`: which deployment a database belongs to.

use anyhow::Result;
use clap::Subcommand;
use phone_numbers_migrate::deployment;

use crate::postgres::connect;

/// What to change.
#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Gives a copied database the name of its own deployment. What its rows stand for at Telnyx stays the old deployment's.
    Rename {
        /// What the setting DEPLOYMENT of the functions that use the copy says.
        name: String,
    },
}

/// Shows the name, or changes it.
pub(super) async fn run(database_url: &str, change: Option<Change>) -> Result<()> {
    let client = connect(database_url).await?;
    match change {
        None => match deployment::current(&client).await? {
            Some(name) => println!("{name}"),
            None => println!("none: run `cargo dev migrate --deployment NAME`"),
        },
        Some(Change::Rename { name }) => {
            let old = deployment::rename(&client, &name).await?;
            println!("the database belonged to {old}, and belongs to {name} now");
        }
    }
    Ok(())
}
