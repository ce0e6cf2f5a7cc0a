//! `cargo dev deployment`: which deployment a database belongs to.

use anyhow::Result;
use clap::Subcommand;
use phone_numbers_migrate::deployment;

use crate::postgres::connect;

/// The change.
#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Gives a copied database the name of its own deployment. The numbers at Telnyx stay the old deployment's.
    Rename {
        /// The setting DEPLOYMENT of the functions that use the copy.
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
