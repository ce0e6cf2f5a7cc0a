//! Applies the files in `sql/`: all or nothing, recorded, and safe to run twice.

use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use ring::digest::{SHA256, digest};
use tokio_postgres::error::{Error as PostgresError, ErrorPosition};
use tokio_postgres::{Client, Transaction};

use crate::earlier;

/// One numbered file of `sql/`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The name of the file without its extension. The names sort in the order in which the files are applied.
    pub name: &'static str,
    /// The text of the file.
    pub sql: &'static str,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(Migration { name: $name, sql: include_str!(concat!("../../../sql/", $name, ".sql")) }),*]
    };
}

/// The numbered files of `sql/`, in their order.
const FILES: &[Migration] = files![
    "V01__existing_objects",
    "V02__agency_phone_numbers",
    "V03__ledgers",
    "V04__history_and_archive",
    "V05__idempotency_keys",
    "V06__reconcile",
    "V07__privileges",
    "V08__writers",
    "V09__rates",
    "V10__roles",
    "V11__flat",
    "V12__poolers",
];

const PRELUDE: &str = include_str!("../../../sql/prelude.sql");

/// In the name of a file that removes what older code uses, this precedes the number of the file that code must know:
/// `V12__contract_V10__old_column` is for code that knows `V10`. Every other file only adds, and any older code can go on.
const CONTRACT: &str = "contract_";

/// Any two migrators wait for each other on this advisory lock. The number is arbitrary.
pub(crate) const LOCK: i64 = 0x7068_6f6e_656e;
/// How long a migration waits for a table that is in use. Meanwhile, later statements on that table wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The record of the files that were applied to a database, with the SHA-256 of each.
const CREATE_RECORD: &str = "\
create table if not exists phone_number_migrations (
  name text not null,
  sha256 bytea not null,
  applied_at timestamptz default now() not null,
  constraint phone_number_migrations_pkey
    primary key (name)
)";

const RECORDED: &str = "\
select m.name, m.sha256
from phone_number_migrations m
order by m.name collate \"C\"";

const RECORD: &str = "\
insert into phone_number_migrations (name, sha256)
values ($1 /* name */, $2 /* sha256 */)";

/// Applies the files that a database lacks, in one transaction, and returns their names. A second migrator waits for the first.
///
/// A newer release may have migrated the database further. That is no error while its files only add: then an older release can be
/// deployed again.
///
/// # Errors
/// A file fails: its name, the line, and what the server said. The database's record does not fit the files, or the files
/// cannot continue what earlier migrations made. A newer file has removed what this release uses. Each leaves the database
/// unchanged.
pub async fn run(client: &mut Client) -> Result<Vec<String>> {
    let mut transaction = begin(client).await.map_err(|error| describe(&error))?;
    set_search_path(&mut transaction).await?;
    earlier::recognise(&transaction).await?;
    let applied = apply_missing(&transaction, FILES).await?;
    transaction.commit().await.map_err(|error| describe(&error))?;
    Ok(applied)
}

/// Applies and records `migrations` as [`run`] does the files in `sql/`, without their prelude.
///
/// # Errors
/// As [`run`].
pub async fn apply(client: &mut Client, migrations: &[Migration]) -> Result<Vec<String>> {
    let transaction = begin(client).await.map_err(|error| describe(&error))?;
    let applied = apply_missing(&transaction, migrations).await?;
    transaction.commit().await.map_err(|error| describe(&error))?;
    Ok(applied)
}

/// Runs a script that is not recorded, in one transaction and while no migrator runs.
///
/// # Errors
/// The script fails: its name, the line, and what the server said. The database is unchanged.
pub async fn script(client: &mut Client, name: &str, sql: &str) -> Result<()> {
    let transaction = begin(client).await.map_err(|error| describe(&error))?;
    execute(&transaction, name, sql).await?;
    transaction.commit().await.map_err(|error| describe(&error))
}

async fn begin(client: &mut Client) -> Result<Transaction<'_>, PostgresError> {
    let transaction = client.transaction().await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let timeout = format!("set local lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    transaction.batch_execute(&timeout).await?;
    Ok(transaction)
}

/// Sets the search path as the prelude does, but for this transaction. The prelude sets it for the session, as psql needs it;
/// behind a connection pooler, other clients use the session later.
async fn set_search_path(transaction: &mut Transaction<'_>) -> Result<()> {
    let savepoint = transaction.savepoint("prelude").await.map_err(|error| describe(&error))?;
    execute(&savepoint, "prelude", PRELUDE).await?;
    let path = savepoint.query_one("select current_setting('search_path')", &[]).await.map_err(|error| describe(&error))?;
    savepoint.rollback().await.map_err(|error| describe(&error))?;
    let set = "select set_config('search_path', $1, true)";
    transaction.execute(set, &[&path.get::<_, &str>(0)]).await.map_err(|error| describe(&error))?;
    Ok(())
}

async fn apply_missing(transaction: &Transaction<'_>, migrations: &[Migration]) -> Result<Vec<String>> {
    transaction.batch_execute(CREATE_RECORD).await.map_err(|error| describe(&error))?;
    let recorded = transaction.query(RECORDED, &[]).await.map_err(|error| describe(&error))?;
    for (index, row) in recorded.iter().enumerate() {
        let (name, sha256): (&str, &[u8]) = (row.get(0), row.get(1));
        match migrations.get(index) {
            Some(migration) if migration.name == name => ensure!(
                sha256 == digest(&SHA256, migration.sql.as_bytes()).as_ref(),
                "{name} was edited after it was applied to this database; nothing was changed. Restore it, and put the change \
                 into a new file."
            ),
            Some(migration) => bail!(
                "this database has {name} where the files have {}; nothing was changed. A new file must sort after those that \
                 were applied.",
                migration.name
            ),
            None => accept_newer(name, migrations)?,
        }
    }
    let missing = migrations.get(recorded.len()..).unwrap_or_default();
    for migration in missing {
        execute(transaction, migration.name, migration.sql).await?;
        let sha256 = digest(&SHA256, migration.sql.as_bytes());
        transaction.execute(RECORD, &[&migration.name, &sha256.as_ref()]).await.map_err(|error| describe(&error))?;
    }
    Ok(missing.iter().map(|migration| migration.name.to_owned()).collect())
}

/// Accepts a file that a newer release has applied, unless it removes what this release uses.
fn accept_newer(name: &str, migrations: &[Migration]) -> Result<()> {
    let number = |name: &str| name.split("__").next().unwrap_or_default().to_owned();
    let needed = name.split("__").find_map(|part| part.strip_prefix(CONTRACT));
    let is_known = |needed: &str| migrations.iter().any(|migration| number(migration.name) == needed);
    if let Some(needed) = needed
        && !is_known(needed)
    {
        bail!("this database has {name}, which removes what releases without {needed} use; nothing was changed. Use a newer release.");
    }
    tracing::warn!(migration = name, "a newer release has migrated this database further");
    Ok(())
}

/// Executes a file. The error has its name and the line before what the server said.
async fn execute(transaction: &Transaction<'_>, name: &str, sql: &str) -> Result<()> {
    transaction.batch_execute(sql).await.map_err(|error| {
        let position = error.as_db_error().and_then(|error| match error.position()? {
            ErrorPosition::Original(position) => usize::try_from(*position).ok(),
            ErrorPosition::Internal { .. } => None,
        });
        let line = position.map(|position| 1 + sql.chars().take(position).filter(|&c| c == '\n').count());
        let at = line.map(|line| format!(", line {line}")).unwrap_or_default();
        describe(&error).context(format!("{name}.sql{at} failed, and nothing was changed"))
    })
}

/// Everything the server said: message, detail, hint and where, on lines of their own.
#[must_use]
pub fn describe(error: &PostgresError) -> anyhow::Error {
    let Some(error) = error.as_db_error() else {
        // Its own text is a phrase such as "error connecting to server"; the causes say why.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        return anyhow!(text);
    };
    let mut text = format!("{} ({})", error.message(), error.code().code());
    for (name, part) in [("detail", error.detail()), ("hint", error.hint()), ("where", error.where_())] {
        if let Some(part) = part {
            text = format!("{text}\n  {name}: {part}");
        }
    }
    anyhow!(text)
}
