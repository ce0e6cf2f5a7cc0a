//! Postgres on one machine: an external server, or one that we start and stop.
//!
//! - [`binaries`] finds the programs, or fetches them; `user` is the user that they run as
//! - `server` starts and stops a server and creates its databases
//! - `directory` holds a cluster; `supervisor` stops its server when this process ends for any reason
//! - [`connection`] opens connections
//! - [`logins`] creates the logins that the functions connect with
//! - `pooler` starts PgBouncer before a server
//! - [`testing`] creates a database for every test

pub mod binaries;
pub mod connection;
mod directory;
pub mod logins;
mod pooler;
mod server;
mod supervisor;
pub mod testing;
mod user;

pub use self::connection::connect;
pub use self::directory::Certificate;
pub use self::pooler::Pooler;
pub use self::server::Server;
pub use self::testing::TestDatabase;
pub use phone_numbers_migrate::migrations::describe;
