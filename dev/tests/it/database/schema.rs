//! The schema: the documented table, the product's own tables, and the migrations.

mod documented;
mod earlier;
mod existing;
mod ledger;
mod privileges;
mod same_agency;

use dev::postgres::TestDatabase;
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

/// A migrated database with two agencies, `a` and `b`, one agent each, and a number of `a` without an agent.
async fn two_agencies() -> (TestDatabase, Client) {
    let database = TestDatabase::migrated().await.unwrap();
    let client = database.connect().await.unwrap();
    client
        .batch_execute(
            "
            insert into agencies (id, name, slug)
            values
              ('0a000000-0000-4000-8000-000000000000', 'A', 'a'),
              ('0b000000-0000-4000-8000-000000000000', 'B', 'b');

            insert into agent_mappings (id, agency_id, ultravox_agent_id, ultravox_agent_name, voice, language_hint)
            values
              ('0a000000-0000-4000-8000-00000000000a', '0a000000-0000-4000-8000-000000000000', 'one', 'Ann', 'Mark', 'en'),
              ('0b000000-0000-4000-8000-00000000000a', '0b000000-0000-4000-8000-000000000000', 'two', 'Bea', 'Hans', 'de');

            insert into agency_phone_numbers (id, agency_id, phone_number)
            values ('0a000000-0000-4000-8000-000000000001', '0a000000-0000-4000-8000-000000000000', '+13125550100');
            ",
        )
        .await
        .unwrap();
    (database, client)
}

/// The rows of a query whose columns are all text, one line each.
async fn lines(client: &Client, query: &str) -> Vec<String> {
    let rows = client.query(query, &[]).await.unwrap();
    let line = |row: &tokio_postgres::Row| {
        let fields: Vec<Option<&str>> = (0..row.len()).map(|index| row.get(index)).collect();
        fields.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(line).collect()
}

/// The database's error for a statement that it must refuse.
async fn refusal(client: &Client, statement: &str) -> DbError {
    let error = client.batch_execute(statement).await.expect_err(statement);
    error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error}")).clone()
}
