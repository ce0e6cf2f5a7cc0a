//! The database login: a URL, or the JSON that RDS keeps in Secrets Manager.

use std::str::FromStr as _;

use serde::Deserialize;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::Url;

use crate::config::Database;
use crate::error::Source;

/// Reads a login. TLS is on by default: every mode but `disable` verifies certificate and host
/// name. An error does not repeat the text, which holds a password.
pub(super) fn parse(text: &str, settings: &Database) -> Result<Config, Source> {
    let text = text.trim();
    let (mut config, plaintext) = if text.starts_with('{') { (json(text, settings)?, settings.plaintext) } else { url(text)? };
    config.ssl_mode(if plaintext { SslMode::Disable } else { SslMode::Require });
    if config.get_application_name().is_none() {
        config.application_name("phone-numbers");
    }
    Ok(config)
}

/// A URL, and whether it does without TLS. There is no half TLS here, and libpq's name for that, `verify-full`, is
/// understood too.
fn url(text: &str) -> Result<(Config, bool), Source> {
    let mut url = Url::parse(text).map_err(|_| "DATABASE_URL is not a URL")?;
    let mode = url.query_pairs().find(|(name, _)| name == "sslmode").map(|(_, value)| value.into_owned());
    let rest: Vec<_> =
        url.query_pairs().filter(|(name, _)| name != "sslmode").map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let config = Config::from_str(url.as_str()).map_err(|_| "DATABASE_URL is not a URL of Postgres")?;
    Ok((config, mode.as_deref() == Some("disable")))
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>, of which RDS
/// itself keeps no more than user and password when it manages the secret.
#[derive(Deserialize)]
struct RdsSecret {
    username: String,
    password: String,
    host: Option<String>,
    port: Option<Port>,
    dbname: Option<String>,
}

/// RDS writes a number; people write text as well.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

impl Port {
    fn number(self) -> Result<u16, Source> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => Ok(text.parse().map_err(|_| "the database's secret names no port")?),
        }
    }
}

/// Sets each part by itself, so that a password may contain any character.
fn json(text: &str, settings: &Database) -> Result<Config, Source> {
    let secret: RdsSecret = serde_json::from_str(text).map_err(|_| "the database's secret is not what RDS writes")?;
    let host = settings.host.clone().or(secret.host).ok_or("neither DATABASE_HOST nor the database's secret names a host")?;
    let name = settings.name.clone().or(secret.dbname).ok_or("neither DATABASE_NAME nor the database's secret names a database")?;
    let mut config = Config::new();
    config.user(secret.username).password(secret.password).host(host).dbname(name);
    if let Some(port) = settings.port {
        config.port(port);
    } else if let Some(port) = secret.port {
        config.port(port.number()?);
    }
    Ok(config)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Database {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        crate::config::Config::read(find).unwrap().database
    }

    fn read(text: &str, variables: &[(&str, &str)]) -> Config {
        parse(text, &settings(variables)).unwrap()
    }

    #[test]
    fn tls_is_on_unless_it_is_said_otherwise() {
        for url in [
            "postgres://u:p@db.example.com/app",
            "postgres://u:p@db.example.com/app?sslmode=prefer",
            "postgres://u@db/app?sslmode=verify-full",
        ] {
            assert_eq!(read(url, &[("DATABASE_SSLMODE", "disable")]).get_ssl_mode(), SslMode::Require, "{url}");
        }
        assert_eq!(read("postgres://u@127.0.0.1/app?sslmode=disable", &[]).get_ssl_mode(), SslMode::Disable);
        let json = r#"{"username": "u", "password": "p", "host": "h", "dbname": "d"}"#;
        for (mode, expected) in [("", SslMode::Require), ("prefer", SslMode::Require), ("disable", SslMode::Disable)] {
            assert_eq!(read(json, &[("DATABASE_SSLMODE", mode)]).get_ssl_mode(), expected, "{mode}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for text in [
            "postgres//u:hunter2@db",
            "mysql://u:hunter2@db/app",
            "postgres://u:hunter2@db:port/app",
            r#"{"username": "u", "password": "hunter2""#,
            r#"{"username": "u", "password": "p", "host": "h", "dbname": "d", "port": "hunter2"}"#,
            r#"{"username": "u", "password": "p", "host": "h", "dbname": ["hunter2"]}"#,
            r#"{"password": "hunter2", "host": "h", "dbname": "d"}"#,
            r#"{"username": "u", "password": "hunter2", "dbname": "d"}"#,
            r#"{"username": "u", "password": "hunter2", "host": "h"}"#,
        ] {
            let message = parse(text, &settings(&[])).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn rds_own_json_is_a_login() {
        let config = read(
            r#" {"username": "u", "password": "p", "engine": "postgres", "host": "db.example", "port": 5433, "dbname": "app",
                "dbInstanceIdentifier": "i"} "#,
            &[],
        );
        assert_eq!((config.get_user(), config.get_dbname()), (Some("u"), Some("app")));
        assert_eq!((config.get_hosts(), config.get_ports()), ([Host::Tcp("db.example".to_owned())].as_slice(), [5433].as_slice()));
        let text = r#"{"username": "u", "password": "p", "host": "h", "port": "5434", "dbname": "app", "engine": null}"#;
        assert_eq!(read(text, &[]).get_ports(), [5434]);
    }

    #[test]
    fn a_secret_that_rds_manages_is_completed_by_the_environment() {
        let variables = [("DATABASE_HOST", "proxy.example"), ("DATABASE_PORT", "6432"), ("DATABASE_NAME", "app")];
        for text in [
            r#"{"username": "u", "password": "p"}"#,
            r#"{"username": "u", "password": "p", "host": "db.example", "port": 5432, "dbname": "postgres"}"#,
        ] {
            let config = read(text, &variables);
            assert_eq!(config.get_hosts(), [Host::Tcp("proxy.example".to_owned())]);
            assert_eq!((config.get_ports(), config.get_dbname()), ([6432].as_slice(), Some("app")));
        }
    }

    #[test]
    fn a_password_in_json_may_be_anything() {
        for password in ["p@ss/w:rd?#[]%25 &=+", "%41", "'; --", "\u{fc}n\u{ef}c\u{f6}de \u{1f511}", "", " "] {
            let text = serde_json::json!({"username": "u", "password": password, "host": "h", "dbname": "d"}).to_string();
            assert_eq!(read(&text, &[]).get_password(), Some(password.as_bytes()));
        }
    }
}
