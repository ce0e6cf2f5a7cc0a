//! The deployment that a database belongs to. The functions compare its name with their setting `DEPLOYMENT` before they change
//! anything at Telnyx.

use anyhow::{Result, bail, ensure};
use shared::model::is_deployment;
use tokio_postgres::Client;

use crate::migrations::describe;

/// Rows from the time when the database had no name get the first name.
const NAME: &str = "\
with named as (
  insert into phone_number_deployment (name)
  values ($1 /* name */)
  on conflict do nothing
  returning name
), purchases as (
  update phone_number_purchases p
  set deployment = n.name
  from named n
  where p.deployment is null
), releases as (
  update phone_number_releases r
  set deployment = n.name
  from named n
  where r.deployment is null
)
select n.name
from named n";

/// Renames the database. Its purchases and releases so far keep the old name.
const RENAME: &str = "\
with old as (
  select d.name
  from phone_number_deployment d
  where d.name <> $1 /* name */
  for update
), purchases as (
  update phone_number_purchases p
  set deployment = o.name
  from old o
  where p.deployment is null
), releases as (
  update phone_number_releases r
  set deployment = o.name
  from old o
  where r.deployment is null
), renamed as (
  update phone_number_deployment d
  set name = $1,
      since = now()
  from old o
  where d.name = o.name
)
select o.name
from old o";

/// Checks that a database does not belong to another deployment. Does nothing without `name`.
///
/// # Errors
/// The database has another name than `name`, or a query fails.
pub async fn check(client: &Client, name: Option<&str>) -> Result<()> {
    if let Some(name) = name
        && let Some(current) = current(client).await?
    {
        ensure!(
            current == name,
            "this database belongs to the deployment {current}, and DEPLOYMENT says {name}; nothing was changed. \
             If it is a copy, name it with `cargo dev deployment rename {name}`."
        );
    }
    Ok(())
}

/// Returns the name of the database; None if it has no name yet.
///
/// # Errors
/// A query fails.
pub async fn current(client: &Client) -> Result<Option<String>> {
    let exists = "select to_regclass('phone_number_deployment') is not null";
    if !client.query_one(exists, &[]).await.map_err(|error| describe(&error))?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("select d.name from phone_number_deployment d", &[]).await.map_err(|error| describe(&error))?;
    Ok(row.map(|row| row.get(0)))
}

/// Gives a migrated database its first name. Returns false if it has a name already.
///
/// # Errors
/// `name` is not a valid name of a deployment, or the statement fails.
pub async fn name(client: &Client, name: &str) -> Result<bool> {
    ensure!(is_deployment(name), "{name:?} is not a name of a deployment: 1 to 128 letters, digits and hyphens");
    Ok(client.query_opt(NAME, &[&name]).await.map_err(|error| describe(&error))?.is_some())
}

/// Renames a copied database after its own deployment. Returns the old name. The numbers of its rows still belong to the old
/// deployment at Telnyx, and the new one never changes them there.
///
/// # Errors
/// `name` is not a valid name of a deployment, the database has no name or already this one, or the statement fails.
pub async fn rename(client: &Client, name: &str) -> Result<String> {
    ensure!(is_deployment(name), "{name:?} is not a name of a deployment: 1 to 128 letters, digits and hyphens");
    match client.query_opt(RENAME, &[&name]).await.map_err(|error| describe(&error))? {
        Some(row) => Ok(row.get(0)),
        None => bail!("the database has no other name than {name}"),
    }
}
