//! The migrations in `sql/`, as `phone-numbers-migrate` applies them, and the stand-in for the tables that the platform owns.

use anyhow::Result;
use phone_numbers_migrate::migrations;

pub use phone_numbers_migrate::migrations::{Migration, apply};

use crate::postgres::connection::connect;

/// It touches no table that exists.
const PLATFORM: &str = include_str!("../../sql/platform.sql");

/// The deployment that databases of `cargo dev` and of tests belong to.
pub const DEPLOYMENT: &str = "dev";

/// Applies the migrations that the database at `url` lacks, and returns their names. A database without a name gets that of
/// `deployment`.
///
/// # Errors
/// If the database cannot be reached or belongs to another deployment; as [`migrations::run`].
pub async fn run(url: &str, deployment: Option<&str>) -> Result<Vec<String>> {
    phone_numbers_migrate::migrate(&mut connect(url).await?, deployment).await
}

/// Creates the tables that the platform owns, those that are missing, in the database at `url`.
///
/// # Errors
/// If the database cannot be reached, or refuses.
pub async fn platform(url: &str) -> Result<()> {
    migrations::script(&mut connect(url).await?, "platform.sql", PLATFORM).await
}
