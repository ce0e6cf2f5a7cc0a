//! The migrations in `sql/`: all or nothing, recorded, and safe to run twice.

use std::time::Duration;

use anyhow::{Result, anyhow};
use refinery::error::Kind;
use refinery::{Migration, Runner};
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::error::{Error as PostgresError, ErrorPosition};
use tokio_postgres::{Client, Transaction};

mod embedded {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::unwrap_used)]
    refinery::embed_migrations!("../../sql");
}

/// Two migrators wait for each other on this lock; the number only has to be ours.
const LOCK: i64 = 0x7068_6f6e_656e;
/// A migration waits this long for tables that are in use, rather than hold up everybody behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Applies the migrations that a database lacks, and returns their names.
///
/// All of them in one transaction: a failing one changes nothing. A second migrator waits for the first.
///
/// # Errors
/// When a migration fails: its name, the line, and all that the server said; when the record of what was applied does not
/// fit the files.
pub async fn run(client: &mut Client) -> Result<Vec<String>> {
    apply(client, embedded::migrations::runner()).await
}

/// Runs a script that is no migration as one would run: in one transaction, and with nobody else migrating.
///
/// # Errors
/// When it fails: its name, the line, and all that the server said.
pub async fn script(client: &mut Client, name: &str, sql: &str) -> Result<()> {
    let transaction = begin(client).await.map_err(|error| describe(&error))?;
    transaction.batch_execute(sql).await.map_err(|error| failure(name, Some(sql), &error))?;
    transaction.commit().await.map_err(|error| describe(&error))
}

/// As [`run`], with migrations other than those in `sql/`.
///
/// # Errors
/// As [`run`].
pub async fn apply(client: &mut Client, runner: Runner) -> Result<Vec<String>> {
    let transaction = begin(client).await.map_err(|error| describe(&error))?;
    let mut whole = Whole(transaction);
    let report = runner.run_async(&mut whole).await.map_err(|error| explain(&runner, &error))?;
    whole.0.commit().await.map_err(|error| describe(&error))?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

async fn begin(client: &mut Client) -> Result<Transaction<'_>, PostgresError> {
    let transaction = client.transaction().await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let timeout = format!("set local lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    transaction.batch_execute(&timeout).await?;
    Ok(transaction)
}

/// What the migrations run in. The library would commit after each, or after making its own table, and in a group would
/// not say which one failed.
struct Whole<'client>(Transaction<'client>);

impl AsyncTransaction for Whole<'_> {
    type Error = PostgresError;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(&mut self, queries: T) -> Result<usize, Self::Error> {
        let mut count = 0;
        for query in queries {
            self.0.batch_execute(query).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Whole<'_> {
    async fn query(&mut self, query: &str) -> Result<Vec<Migration>, Self::Error> {
        let rows = self.0.query(query, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| {
                // What cannot be read compares as different from the file, which is then reported.
                let applied_on = OffsetDateTime::parse(row.get(2), &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
                let checksum = row.get::<_, &str>(3).parse().unwrap_or_default();
                Migration::applied(row.get(0), row.get(1), applied_on, checksum)
            })
            .collect())
    }
}

impl AsyncMigrate for Whole<'_> {}

fn explain(runner: &Runner, error: &refinery::Error) -> anyhow::Error {
    let Kind::Connection(what, source) = error.kind() else {
        return anyhow!("{error}").context("the database's record of migrations does not fit the files; nothing was changed");
    };
    let Some(error) = source.downcast_ref::<PostgresError>() else {
        return anyhow!("{what}: {source}");
    };
    // The library names the migration in its message alone.
    let failed = runner.get_migrations().iter().find(|migration| what.ends_with(&format!(" {migration}")));
    match failed {
        Some(migration) => failure(&migration.to_string(), migration.sql(), error),
        None => describe(error).context(what.clone()),
    }
}

/// The name of what failed, with the line, before what the server said.
fn failure(name: &str, sql: Option<&str>, error: &PostgresError) -> anyhow::Error {
    let position = error.as_db_error().and_then(|error| match error.position()? {
        ErrorPosition::Original(position) => usize::try_from(*position).ok(),
        ErrorPosition::Internal { .. } => None,
    });
    let line = position.zip(sql).map(|(position, sql)| 1 + sql.chars().take(position).filter(|&c| c == '\n').count());
    let at = line.map(|line| format!(", line {line}")).unwrap_or_default();
    describe(error).context(format!("migration {name}{at} failed, and nothing was changed"))
}

/// Everything the server said: message, detail, hint and where, on lines of their own.
#[must_use]
pub fn describe(error: &PostgresError) -> anyhow::Error {
    let Some(error) = error.as_db_error() else {
        // The library hides the cause behind a word such as «db error»; the chain has it.
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
