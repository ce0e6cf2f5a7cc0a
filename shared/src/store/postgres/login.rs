//! The database login: a URL, or the JSON that RDS keeps in Secrets Manager.

use std::str::FromStr as _;

use serde::Deserialize;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::Url;

use super::session::Statements;
use crate::config::Database;
use crate::error::Source;

/// Parameters of other clients that concern their own pools and caches, or name the pooler: they say nothing about a connection.
const IGNORED: [&str; 6] = ["connection_limit", "pool_timeout", "socket_timeout", "schema", "supa", "workaround"];

/// The parameters of libpq that `tokio-postgres` understands and that are words or numbers, without those that name another host,
/// user or database than the URL.
const KNOWN: [&str; 9] = [
    "channel_binding",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// A login.
pub(super) struct Login {
    pub(super) config: Config,
    /// How statements are sent, if the login or a setting says so.
    pub(super) statements: Option<Statements>,
}

/// Reads a login. TLS is on by default: every mode but `disable` verifies certificate and host
/// name. An error does not repeat the text, which holds a password.
pub(super) fn parse(text: &str, settings: &Database) -> Result<Login, Source> {
    let text = text.trim();
    let (mut login, plaintext) = if text.starts_with('{') { (json(text, settings)?, settings.plaintext) } else { url(text)? };
    login.config.ssl_mode(if plaintext { SslMode::Disable } else { SslMode::Require });
    if login.config.get_application_name().is_none() {
        login.config.application_name("phone-numbers");
    }
    if let Some(prepared) = settings.prepared_statements {
        login.statements = Some(if prepared { Statements::Prepared } else { Statements::Unnamed });
    }
    Ok(login)
}

/// A URL, as Postgres, Supabase and Prisma write it, and whether it does without TLS. There is no half TLS here, and libpq's name
/// for that, `verify-full`, is understood too.
fn url(text: &str) -> Result<(Login, bool), Source> {
    let mut url = Url::parse(text).map_err(|_| "DATABASE_URL is not a URL")?;
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    let (mut plaintext, mut statements, mut application, mut options) = (false, None, None, None);
    for (name, value) in &parameters {
        match (name.as_str(), value.as_str()) {
            ("sslmode", mode) => plaintext = mode == "disable",
            ("application_name", name) => application = Some(name),
            ("options", value) => options = Some(value),
            // Prisma's two ways to say it.
            ("pgbouncer", "true") | ("statement_cache_size", "0") => statements = Some(Statements::Unnamed),
            ("pgbouncer", "false") => statements = Some(Statements::Prepared),
            ("statement_cache_size", _) => {}
            ("schema", schema) if schema != "public" => {
                return Err("DATABASE_URL names a `schema`: the tables are found by the search path of the role".into());
            }
            (ignored, _) if IGNORED.contains(&ignored) => {}
            (known, value) if KNOWN.contains(&known) => {
                url.query_pairs_mut().append_pair(known, value);
            }
            (unknown, _) => return Err(refusal(unknown, &url).into()),
        }
    }
    let mut config = Config::from_str(url.as_str()).map_err(|_| "DATABASE_URL is not a URL of Postgres")?;
    if let Some(name) = application {
        config.application_name(name);
    }
    if let Some(options) = options {
        config.options(options);
    }
    Ok((Login { config, statements }, plaintext))
}

/// Names a parameter that is not understood, unless it could be a part of a password with a question mark that was not encoded.
fn refusal(name: &str, url: &Url) -> String {
    let is_word = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word && !url.username().is_empty() {
        format!("DATABASE_URL has the parameter `{name}`, which is not supported")
    } else {
        "DATABASE_URL has an unknown parameter".to_owned()
    }
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
fn json(text: &str, settings: &Database) -> Result<Login, Source> {
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
    Ok(Login { config, statements: None })
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
        parse(text, &settings(variables)).unwrap().config
    }

    fn refused(text: &str, variables: &[(&str, &str)]) -> String {
        parse(text, &settings(variables)).err().unwrap().to_string()
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
            "postgres://u:1?hunter2@db/app",
            "postgres://u:1?hunter&2@db/app",
            "postgres://u:p@db/app?schema=hunter2",
            "postgres://u:p@db/app?sslpassword=hunter2",
            r#"{"username": "u", "password": "hunter2""#,
            r#"{"username": "u", "password": "p", "host": "h", "dbname": "d", "port": "hunter2"}"#,
            r#"{"username": "u", "password": "p", "host": "h", "dbname": ["hunter2"]}"#,
            r#"{"password": "hunter2", "host": "h", "dbname": "d"}"#,
            r#"{"username": "u", "password": "hunter2", "dbname": "d"}"#,
            r#"{"username": "u", "password": "hunter2", "host": "h"}"#,
        ] {
            let message = refused(text, &[]);
            assert!(!message.contains("hunter"), "{message}");
        }
    }

    #[test]
    fn urls_are_read_as_supabase_and_prisma_write_them() {
        for parameters in [
            "",
            "?schema=public",
            "?connection_limit=1&pool_timeout=0&socket_timeout=5",
            "?supa=base-pooler.x&sslmode=require&workaround=supabase-pooler.vercel",
            "?statement_cache_size=100&connect_timeout=15&application_name=x&options=-c%20search_path%3Dapp",
        ] {
            let login = parse(&format!("postgresql://u.ref:p@pooler.example.com:6543/postgres{parameters}"), &settings(&[])).unwrap();
            assert_eq!((login.config.get_user(), login.config.get_ports()), (Some("u.ref"), [6543].as_slice()), "{parameters}");
            assert_eq!(login.statements, None, "{parameters}");
        }
        let config = read("postgres://u:p@db/app?application_name=a+b&options=-c%20search_path%3Dapp", &[]);
        assert_eq!((config.get_application_name(), config.get_options()), (Some("a b"), Some("-c search_path=app")));
    }

    #[test]
    fn statements_have_no_names_where_the_login_or_the_setting_says_so() {
        let statements = |parameters: &str, setting: &str| {
            parse(&format!("postgres://u:p@db/app{parameters}"), &settings(&[("DATABASE_PREPARED_STATEMENTS", setting)]))
                .unwrap()
                .statements
        };
        for unnamed in ["?pgbouncer=true", "?pgbouncer=true&connection_limit=1", "?statement_cache_size=0"] {
            assert_eq!(statements(unnamed, ""), Some(Statements::Unnamed), "{unnamed}");
            assert_eq!(statements(unnamed, "true"), Some(Statements::Prepared), "the setting overrides {unnamed}");
        }
        assert_eq!(statements("", "false"), Some(Statements::Unnamed));
        assert_eq!(statements("?pgbouncer=false", ""), Some(Statements::Prepared));
    }

    #[test]
    fn a_parameter_that_is_not_understood_is_refused_by_its_name() {
        for name in ["sslrootcert", "pgbouncer", "host", "user", "statement_timeout"] {
            assert!(refused(&format!("postgres://u:p@db/app?{name}=x"), &[]).contains(&format!("`{name}`")), "{name}");
        }
        assert!(refused("postgres://u:p@db/app?schema=app", &[]).contains("`schema`"));
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
