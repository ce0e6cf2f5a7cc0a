//! Databases that the migrations before those in `sql/` made, V1 to V12, which the library refinery recorded.

use anyhow::{Result, ensure};
use tokio_postgres::Transaction;

use crate::migrations::describe;

/// The last of the earlier migrations.
const LAST: i64 = 12;

/// The tables and functions that the last one left, with their fingerprints.
const OBJECTS: [(&str, &str); 16] = [
    ("agency_phone_numbers", "b947992512dba0a0926d39983648cc97"),
    ("agency_phone_numbers_agent_same_agency", "8b2fee2a3fa9ee413b5549012a435e60"),
    ("agency_phone_numbers_archive", "7bbf2cd8a2b73f1d7c78d72049022656"),
    ("agency_phone_numbers_history", "4a04a24f1be24a585bed3d66c5a30c65"),
    ("agency_phone_numbers_restore", "e1fc13516af385bc5e87c73539dd4c0e"),
    ("phone_number_deployment", "b8a5397d2bba214ba1eece479bfcbfd6"),
    ("phone_number_findings", "d93cea898a23dcc93986f6907ed8ae2b"),
    ("phone_number_history", "403b95080ebba0b0e019ba6eba5623f0"),
    ("phone_number_history_is_append_only", "11053dcafc51b3aaf98e47b3aabaedd2"),
    ("phone_number_idempotency_keys", "e5cd6e79444d6adb8cc47289b7a78a1a"),
    ("phone_number_idempotency_purchases", "08c10a221b11f736f153aebc2e298daa"),
    ("phone_number_inventory_walks", "3fcd7df49eb05de2d21b662ff091200b"),
    ("phone_number_purchases", "a4f52109a329dfc412362ee3d23a1cc5"),
    ("phone_number_releases", "a6d21876c3302b18b50e949e3269e896"),
    ("phone_number_sightings", "a90d4e004e82965d2b1862bfbe4dee0f"),
    ("phone_number_strangers", "a72492c06a9dd1e3fc15f2a9e6a62484"),
];

const FINGERPRINTS: &str = include_str!("earlier.sql");

/// Removes the record of the earlier migrations from a database that the last of them left as it is. The files in `sql/` then
/// find all their objects there, and are recorded.
///
/// # Errors
/// The database is at an earlier version than the last, or differs from what that one left.
pub(crate) async fn recognise(transaction: &Transaction<'_>) -> Result<()> {
    let exists = "select to_regclass('refinery_schema_history') is not null";
    if !transaction.query_one(exists, &[]).await.map_err(|error| describe(&error))?.get::<_, bool>(0) {
        return Ok(());
    }
    let recorded = "select h.version::bigint, h.name from refinery_schema_history h order by h.version";
    let recorded = transaction.query(recorded, &[]).await.map_err(|error| describe(&error))?;
    // Other programs that use the library have the same table.
    let ours = recorded.first().is_some_and(|row| (row.get(0), row.get(1)) == (1_i64, Some("agency_phone_numbers")));
    let Some(row) = recorded.last().filter(|_| ours) else { return Ok(()) };
    let version: i64 = row.get(0);
    ensure!(
        version == LAST,
        "this database is at V{version} of the earlier migrations, and the files in sql/ only continue V{LAST}; nothing was \
         changed. Migrate it with the last release that has V{LAST}__reconcile_at_scale, then again with this one."
    );
    let different = differences(transaction).await?;
    ensure!(
        different.is_empty(),
        "this database is at V{LAST} of the earlier migrations, and differs from what V{LAST} left: {}; nothing was changed. \
         Undo the difference, which `pg_dump --schema-only` shows beside a new database, then migrate again.",
        different.join(", ")
    );
    tracing::info!("the database is at the last of the earlier migrations: the files in sql/ continue it");
    transaction.batch_execute("drop table refinery_schema_history").await.map_err(|error| describe(&error))
}

/// The objects that are missing or differ from what the last of the earlier migrations left.
async fn differences(transaction: &Transaction<'_>) -> Result<Vec<&'static str>> {
    let names = OBJECTS.map(|(name, _)| name);
    let found = transaction.query(FINGERPRINTS, &[&names.as_slice()]).await.map_err(|error| describe(&error))?;
    let found: Vec<(&str, &str)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(OBJECTS.into_iter().filter(|object| !found.contains(object)).map(|(name, _)| name).collect())
}
