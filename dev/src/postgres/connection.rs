//! Connections to Postgres.

use anyhow::{Context, Result, ensure};
use phone_numbers_migrate::migrations::describe;
use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connects to the database at `url`; the connection closes when the client is dropped.
///
/// Certificates are verified unless the URL says `sslmode=disable`. A URL that says nothing means plain text on this
/// machine and TLS everywhere else.
///
/// # Errors
/// When `url` is malformed, or the server cannot be reached or turns us away.
pub async fn connect(url: &str) -> Result<Client> {
    let url = normalise(url)?;
    let config: Config = url.as_str().parse().map_err(|error| describe(&error))?;
    let address = || format!("connecting to Postgres at {}", address(&url));
    if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| describe(&error)).with_context(address)?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let (client, connection) = config.connect(tls()?).await.map_err(|error| describe(&error)).with_context(address)?;
    tokio::spawn(connection);
    Ok(client)
}

/// Says `sslmode` in a URL that does not.
///
/// # Errors
/// When `url` is not a `postgres://` URL with a host.
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

fn tls() -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
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
