//! Connections to Postgres, as the functions make them.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::Url;
use shared::config::Config;
use shared::secrets::Secrets;
use shared::store::{self, Store};
use tokio_postgres::Client;

/// The application name of our connections, so that tests can tell them from those of the functions.
const APPLICATION_NAME: &str = "cargo-dev";

/// Connects to the database at `url`; the connection closes when the client is dropped.
///
/// # Errors
/// If `url` is malformed, or the server cannot be reached or refuses the connection.
pub async fn connect(url: &str) -> Result<Client> {
    let mut url = normalise(url)?;
    if !url.query_pairs().any(|(name, _)| name == "application_name") {
        url.query_pairs_mut().append_pair("application_name", APPLICATION_NAME);
    }
    let config = settings(url.as_str())?;
    let connected = store::connect(&config.database, &Secrets::new(&config.aws, config.secrets_ttl)).await;
    connected.map_err(|error| anyhow!("connecting to Postgres at {}: {error}", address(&url)))
}

/// The settings with which a function uses the database at `url`. Certificates are verified unless the URL has
/// `sslmode=disable`, with the authorities in the file `DATABASE_CA_FILE` if the environment has it.
///
/// # Errors
/// If `url` is malformed.
pub fn settings(url: &str) -> Result<Config> {
    let url = normalise(url)?;
    let config = Config::read(|name| match name {
        "DATABASE_URL" => Some(url.to_string()),
        "DATABASE_CA_FILE" => std::env::var(name).ok(),
        _ => None,
    })?;
    Ok(config)
}

/// Access to the database at `url` as the functions have it.
///
/// # Errors
/// If `url` is malformed.
pub fn store(url: &str) -> Result<Store> {
    let config = settings(url)?;
    Ok(Store::new(&config, Arc::new(Secrets::new(&config.aws, config.secrets_ttl))))
}

/// Adds `sslmode` to a URL without it: plain text on this machine, TLS elsewhere.
///
/// # Errors
/// If `url` is not a `postgres://` URL with a host.
pub fn normalise(url: &str) -> Result<Url> {
    let mut url = Url::parse(url).context("a database URL looks like postgres://user:password@host:5432/database")?;
    ensure!(
        matches!(url.scheme(), "postgres" | "postgresql") && url.has_host(),
        "a database URL looks like postgres://user:password@host:5432/database"
    );
    if !url.query_pairs().any(|(name, _)| name == "sslmode") {
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.query_pairs_mut().append_pair("sslmode", if local { "disable" } else { "require" });
    }
    Ok(url)
}

fn address(url: &Url) -> String {
    format!("{}:{}{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(5432), url.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::normalise;

    #[test]
    fn plain_text_is_for_this_machine_alone() {
        let said = |url: &str| normalise(url).unwrap().query().unwrap().to_owned();
        assert_eq!(said("postgres://u@localhost/x"), "sslmode=disable");
        assert_eq!(said("postgresql://u@127.0.0.1:5/x?application_name=a"), "application_name=a&sslmode=disable");
        assert_eq!(said("postgres://u@db.example/x"), "sslmode=require");
        assert_eq!(said("postgres://u@db.example/x?sslmode=disable"), "sslmode=disable");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["host=localhost user=me", "http://localhost/x", "postgres:x", ""] {
            assert!(normalise(url).is_err(), "{url}");
        }
    }
}
