//! The deployment that a database belongs to: the name that the functions compare with their setting `DEPLOYMENT` before
//! they write anything at Telnyx.

use anyhow::{Result, bail, ensure};
use shared::model::is_deployment;
use tokio_postgres::Client;

use crate::migrations::describe;

/// Rows that were written before the database had a name belong to its first one.
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

/// What was written so far keeps the old name; from now on the database has the new one.
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

/// Refuses to go on with the database of another deployment.
///
/// # Errors
/// The database carries another name than `name`, or cannot be asked.
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

/// The name that the database carries; None where it has none yet.
///
/// # Errors
/// The database cannot be asked.
pub async fn current(client: &Client) -> Result<Option<String>> {
    let exists = "select to_regclass('phone_number_deployment') is not null";
    if !client.query_one(exists, &[]).await.map_err(|error| describe(&error))?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("select d.name from phone_number_deployment d", &[]).await.map_err(|error| describe(&error))?;
    Ok(row.map(|row| row.get(0)))
}

/// Gives a migrated database its first name; true if it had none.
///
/// # Errors
/// `name` is no name of a deployment, or the database refuses.
pub async fn name(client: &Client, name: &str) -> Result<bool> {
    ensure!(is_deployment(name), "{name:?} is no name of a deployment: 1 to 128 letters, digits and hyphens");
    Ok(client.query_opt(NAME, &[&name]).await.map_err(|error| describe(&error))?.is_some())
}

/// Gives a copied database the name of its own deployment, and returns the old one. Whatever its rows stand for at Telnyx
/// still belongs to the old deployment, and is never changed by the new one.
///
/// # Errors
/// `name` is no name of a deployment, the database has no other name, or it refuses.
pub async fn rename(client: &Client, name: &str) -> Result<String> {
    ensure!(is_deployment(name), "{name:?} is no name of a deployment: 1 to 128 letters, digits and hyphens");
    match client.query_opt(RENAME, &[&name]).await.map_err(|error| describe(&error))? {
        Some(row) => Ok(row.get(0)),
        None => bail!("the database has no other name than {name}"),
    }
}
