//! The database: schema, migrations, statements, history, deployments.

mod deployments;
mod history;
mod limits;
mod migrate;
mod schema;
mod statements;
