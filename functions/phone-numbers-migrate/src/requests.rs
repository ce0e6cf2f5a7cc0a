//! Migrations that are requested by one invocation and whose outcome another one reads. The database keeps the outcome.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio_postgres::error::Error as PostgresError;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::migrations::{LOCK, describe};
use crate::{deployment, migrate};

/// The table of requests. It is made when the first one comes, and not by a migration, because it also records why those failed. As
/// on our other tables, only its owner has rights.
const CREATE: &str = "\
do $requests$
declare
  outsiders constant text := concat_ws(
    ', ',
    'public',
    (
      select string_agg(quote_ident(r.rolname), ', ')
      from pg_roles as r
      where r.rolname in ('anon', 'authenticated')
    )
  );
begin
  if to_regclass(quote_ident(current_schema()) || '.phone_number_migration_requests') is null then
    create table phone_number_migration_requests (
      id uuid not null,
      requested_at timestamptz default now() not null,
      finished_at timestamptz,
      applied text[],
      error text,
      constraint phone_number_migration_requests_pkey
        primary key (id)
    );
    execute format('revoke all on table phone_number_migration_requests from %s', outsiders);
  end if;
end
$requests$";

/// Lambda may deliver an invocation twice. The second finds the row.
const CLAIM: &str = "\
insert into phone_number_migration_requests (id)
values ($1 /* id */)
on conflict do nothing
returning id";

const FINISH: &str = "\
update phone_number_migration_requests r
set finished_at = now(),
    applied = $2 /* applied */,
    error = $3 /* error */
where r.id = $1 /* id */";

const READ: &str = "\
select r.finished_at is not null, r.applied, r.error, r.requested_at < now() - interval '30 seconds'
from phone_number_migration_requests r
where r.id = $1 /* id */";

/// How long after the end of its transaction a migrator has certainly recorded the outcome.
const RECORDING: Duration = Duration::from_secs(2);

/// The outcome of a request, as the answer to an invocation.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The names of the applied migrations, in order.
    Applied {
        /// Empty if the database was up to date.
        applied: Vec<String>,
    },
    /// The migrations failed, and the database is unchanged.
    Failed {
        /// The full message.
        error: String,
    },
    /// There is no outcome yet, or none any more.
    Open {
        /// Why.
        state: State,
    },
}

/// Why a request has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No invocation has taken the request up.
    Unknown,
    /// An invocation works on it, or waits for another migrator.
    Running,
    /// The invocation ended without recording an outcome: it timed out or lost its connection. The database is unchanged.
    Lost,
}

/// Applies the migrations for a request, and records the outcome. Does nothing if an invocation has taken the request up before.
///
/// # Errors
/// The database belongs to another deployment, or the outcome cannot be recorded.
pub async fn run(client: &mut Client, deployment: Option<&str>, request: Uuid) -> Result<Outcome> {
    deployment::check(client, deployment).await?;
    if !claim(client, request).await.map_err(|error| describe(&error))? {
        tracing::warn!(%request, "the request was taken up before");
        return Ok(Outcome::Open { state: State::Running });
    }
    let outcome = match migrate(client, deployment).await {
        Ok(applied) => Outcome::Applied { applied },
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(%request, error, "the migrations failed");
            Outcome::Failed { error }
        }
    };
    let (applied, error) = match &outcome {
        Outcome::Applied { applied } => (Some(applied), None),
        Outcome::Failed { error } => (None, Some(error)),
        Outcome::Open { .. } => (None, None),
    };
    client.execute(FINISH, &[&request, &applied, &error]).await.map_err(|error| describe(&error))?;
    Ok(outcome)
}

async fn claim(client: &mut Client, request: Uuid) -> Result<bool, PostgresError> {
    let transaction = client.transaction().await?;
    // Two that make the table at once would collide. This waits for no migrator: they hold another lock.
    transaction.execute("select pg_advisory_xact_lock($1)", &[&(LOCK + 1)]).await?;
    transaction.batch_execute(CREATE).await?;
    let is_new = transaction.query_opt(CLAIM, &[&request]).await?.is_some();
    transaction.commit().await?;
    Ok(is_new)
}

/// Returns the outcome of a request.
///
/// # Errors
/// The database belongs to another deployment, or a query fails.
pub async fn outcome(client: &mut Client, deployment: Option<&str>, request: Uuid) -> Result<Outcome> {
    deployment::check(client, deployment).await?;
    let exists = "select to_regclass(quote_ident(current_schema()) || '.phone_number_migration_requests') is not null";
    if !client.query_one(exists, &[]).await.map_err(|error| describe(&error))?.get::<_, bool>(0) {
        return Ok(Outcome::Open { state: State::Unknown });
    }
    let (mut found, mut is_idle) = read(client, request).await.map_err(|error| describe(&error))?;
    if is_idle && found == (Outcome::Open { state: State::Lost }) {
        tokio::time::sleep(RECORDING).await;
        (found, is_idle) = read(client, request).await.map_err(|error| describe(&error))?;
    }
    let is_lost = found == (Outcome::Open { state: State::Lost });
    Ok(if is_lost && !is_idle { Outcome::Open { state: State::Running } } else { found })
}

/// Reads a request, and whether no migrator runs. Says `Lost` of one that is not finished and may be lost if none does.
async fn read(client: &mut Client, request: Uuid) -> Result<(Outcome, bool), PostgresError> {
    let transaction = client.transaction().await?;
    let is_idle = transaction.query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK]).await?.get(0);
    let row = transaction.query_opt(READ, &[&request]).await?;
    transaction.rollback().await?;
    Ok((row.map_or(Outcome::Open { state: State::Unknown }, |row| interpret(&row)), is_idle))
}

fn interpret(row: &Row) -> Outcome {
    let (is_finished, may_be_lost): (bool, bool) = (row.get(0), row.get(3));
    let (applied, error): (Option<Vec<String>>, Option<String>) = (row.get(1), row.get(2));
    match (is_finished, error) {
        (true, Some(error)) => Outcome::Failed { error },
        // A finished request without an error has a list.
        (true, None) => Outcome::Applied { applied: applied.unwrap_or_default() },
        (false, _) if may_be_lost => Outcome::Open { state: State::Lost },
        (false, _) => Outcome::Open { state: State::Running },
    }
}
