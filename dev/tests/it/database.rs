//! The database: schema, migrations, statements, the order of locks, history, deployments.

mod counts;
mod deployments;
mod history;
mod limits;
mod lock_order;
mod logins;
mod migrate;
mod plans;
mod round_trips;
mod rows_read;
mod schema;
mod statements;
mod tenancy;
