//! The environment, read once at start-up and nowhere else. An empty variable counts as unset.
//!
//! Nothing here fails: a setting that is missing is missed by the first request that needs it, which answers 503.

use std::time::Duration;

use rust_decimal::Decimal;

use crate::model::is_deployment;

/// A dead process keeps others off for no longer than this.
const LONGEST_LEASE_MS: u64 = 10_000;
/// The longest that anything is kept that is not kept for good.
const LONGEST_RETENTION_DAYS: u32 = 36_500;

/// Far above what any number costs at Telnyx.
const MAX_PLAUSIBLE_PRICE: Decimal = Decimal::ONE_THOUSAND;

/// Something secret: given in the environment, for local use, or the name of a secret in AWS Secrets Manager.
#[derive(Clone)]
pub enum SecretSource {
    /// The value itself.
    Plain(String),
    /// A secret's name or ARN.
    SecretsManager(String),
}

/// Where Postgres is. Variables `DATABASE_URL` or `DATABASE_SECRET_ID`, `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_NAME`,
/// `DATABASE_SSLMODE`, `DATABASE_CA_FILE`, `DATABASE_TIMEOUT_MS`.
#[derive(Clone)]
pub struct Database {
    /// `postgres://user:password@host:port/name`, with TLS unless it says `sslmode=disable`; or the JSON that RDS keeps,
    /// which the next four complete.
    pub login: Option<SecretSource>,
    /// The host, whatever the JSON says: that of a proxy, say.
    pub host: Option<String>,
    /// The port, likewise.
    pub port: Option<u16>,
    /// The database, likewise.
    pub name: Option<String>,
    /// Whether to do without TLS: `DATABASE_SSLMODE=disable`.
    pub plaintext: bool,
    /// Who may vouch for the server.
    pub authorities: Authorities,
    /// The longest that one statement may take, with the connection it needs. Every other limit is a share of it.
    pub timeout: Duration,
}

/// Whose certificates are believed.
#[derive(Clone)]
pub enum Authorities {
    /// The public web's, which are built in.
    Web,
    /// The operating system's.
    System,
    /// Those in a PEM file.
    File(String),
}

/// Whose tokens are believed. Variables `JWT_SECRET` or `JWT_SECRET_ID`, `JWKS_URL`, `JWT_ISSUER`, `JWT_AUDIENCE`.
#[derive(Clone)]
pub struct Tokens {
    /// The key of HS256 tokens.
    pub secret: Option<SecretSource>,
    /// Where the public keys of RS256 and ES256 tokens are published.
    pub jwks_url: Option<String>,
    /// The `iss` to insist on.
    pub issuer: Option<String>,
    /// The `aud` to insist on; `authenticated` when unset.
    pub audience: String,
}

/// Which key opens Telnyx, and for whom.
/// Variables `TELNYX_API_KEY` or `TELNYX_AGENCY_SECRET_ID` and `TELNYX_PLATFORM_SECRET_ID`.
#[derive(Clone, Default)]
pub struct TelnyxKeys {
    /// A key for everybody, straight from the environment: for local use. It goes before the two below.
    pub plain: Option<String>,
    /// The name of an agency's own secret, with `{agency_id}` in it.
    pub agency_secret: Option<String>,
    /// The name of the secret that serves the agencies without one of their own.
    pub platform_secret: Option<String>,
}

/// How Telnyx is spoken to.
/// Variables `TELNYX_API_URL`, `TELNYX_TIMEOUT_MS`, `TELNYX_CONNECT_TIMEOUT_MS`.
#[derive(Clone)]
pub struct Telnyx {
    /// The base URL, with the version and without a trailing slash.
    pub url: String,
    /// The keys.
    pub keys: TelnyxKeys,
    /// The longest that one call may take; shorter than a purchase's lease, so that no call outlives it.
    pub timeout: Duration,
    /// The longest that connecting may take.
    pub connect_timeout: Duration,
}

/// How numbers are bought, and what happens when things go wrong.
/// Variables `PURCHASES_ENABLED`, `MAX_PHONE_NUMBERS`, `MAX_PLAUSIBLE_PRICE`, `PURCHASE_LEASE_MS`,
/// `PURCHASE_ORDER_MISSING_AFTER_MS`, `PURCHASE_EXPIRES_AFTER_MS`, `PURCHASE_POLL_MS`, `IDEMPOTENCY_KEYS_TTL_MS`.
#[derive(Clone, Copy)]
pub struct Purchase {
    /// Whether anything is bought at all: unless something other than `true` is said.
    pub enabled: bool,
    /// How many numbers an agency may have whose own settings do not say; None is no limit.
    pub max_phone_numbers: Option<i64>,
    /// The highest amount, monthly or once and in any currency, that a number is bought for whatever the caller permits; 1000
    /// when unset. None if the setting is not an amount of 0 to 999999.9999: then nothing is bought.
    pub max_plausible_price: Option<Decimal>,
    /// How long a process that works on a purchase, a release or a request keeps others off it, ten seconds at the
    /// most; it is renewed while work goes on.
    pub lease: Duration,
    /// An order whose outcome is unknown may be placed again once two look-ups at least this far apart did not find it.
    pub order_missing_after: Duration,
    /// An intent that has not been ordered by then is not wanted any more.
    pub expires_after: Duration,
    /// The pause before a pending order is looked at again; it grows from look to look.
    pub poll: Duration,
    /// How long an idempotency key lives after its first request, and after the end of the last purchase that it lists.
    pub keys_ttl: Duration,
}

impl Purchase {
    /// How long Telnyx may take to show everywhere what has happened. A number that is no longer on offer after an order
    /// whose outcome is unknown has most likely been bought, and by that order: for this long no look-up must find it before
    /// it counts as failed.
    #[must_use]
    pub const fn lag(&self) -> Duration {
        self.order_missing_after.saturating_mul(12)
    }

    /// How much later than its order a number may show in the inventory before an operator is told that it is missing.
    #[must_use]
    pub const fn number_missing_after(&self) -> Duration {
        self.order_missing_after.saturating_mul(6)
    }
}

/// How the rows are compared with Telnyx' inventory.
/// Variables `RECONCILE_BATCH`, `RECONCILE_MAX_DEACTIVATED_PERCENT`, `RECONCILE_STUCK_AFTER_MS`, `RECONCILE_RETENTION_DAYS`,
/// `METRICS_SERVICE`, `TELNYX_PUBLIC_KEY`.
#[derive(Clone)]
pub struct Reconcile {
    /// How many purchases and releases one batch has, and how many rows without a ledger one run takes up.
    pub batch: i64,
    /// The largest part of an account's numbers that one run may switch off; one number it may in any case.
    pub max_deactivated_percent: u32,
    /// A purchase or release that is unfinished after this long counts as stuck, unless it waits for documents.
    pub stuck_after: Duration,
    /// How long closed findings and the free text of failures are kept; or why the setting cannot be read, which deletes
    /// nothing.
    pub retention: Result<Duration, String>,
    /// What tells the metrics of one deployment from those of another.
    pub service: String,
    /// The keys with which Telnyx signs webhooks, one for each account, as base64 of 32 bytes.
    pub public_keys: Vec<String>,
}

/// Everything a function is configured by.
#[derive(Clone)]
pub struct Config {
    /// The deployment that this process is part of, such as `phone-numbers-prod`. Variable `DEPLOYMENT`; None when it is unset
    /// or not a name of 1 to 128 letters, digits and hyphens. Nothing is written at Telnyx unless the database carries it.
    pub deployment: Option<String>,
    /// Postgres.
    pub database: Database,
    /// The tokens of callers.
    pub tokens: Tokens,
    /// Telnyx.
    pub telnyx: Telnyx,
    /// Purchases.
    pub purchase: Purchase,
    /// The comparison with Telnyx.
    pub reconcile: Reconcile,
    /// Origins that browsers may call from, with `*` for a port or a subdomain. Variable `ALLOWED_ORIGINS`, comma-separated.
    pub allowed_origins: Vec<String>,
    /// The longest that a request may take. Variable `REQUEST_BUDGET_MS`; 25 s, since API Gateway gives up after 30 s
    /// and web clients after 29 s.
    pub request_budget: Duration,
    /// How long a secret is believed before it is read again. Variable `SECRETS_TTL_MS`.
    pub secrets_ttl: Duration,
    /// AWS: region, credentials and, for tests, another endpoint, all from the variables that every SDK reads.
    pub aws: Aws,
}

/// The AWS SDK's own variables.
#[derive(Clone, Default)]
pub struct Aws {
    /// `AWS_REGION`.
    pub region: Option<String>,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<String>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER` or `AWS_ENDPOINT_URL`.
    pub secrets_manager_url: Option<String>,
}

impl Config {
    /// Reads the environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        // The one place that may read it.
        #[allow(clippy::disallowed_methods)]
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads an environment, whatever holds it.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let millis = |name: &str, default: u64| Duration::from_millis(parsed(text(name), default));
        let list = |name: &str| -> Vec<String> {
            let text = text(name).unwrap_or_default();
            text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
        };
        let secret = |plain: &str, id: &str| text(plain).map(SecretSource::Plain).or_else(|| text(id).map(SecretSource::SecretsManager));
        Self {
            deployment: text("DEPLOYMENT").filter(|name| is_deployment(name)),
            database: Database {
                login: secret("DATABASE_URL", "DATABASE_SECRET_ID"),
                host: text("DATABASE_HOST"),
                port: text("DATABASE_PORT").and_then(|port| port.parse().ok()),
                name: text("DATABASE_NAME"),
                plaintext: text("DATABASE_SSLMODE").as_deref() == Some("disable"),
                authorities: match text("DATABASE_CA_FILE") {
                    None => Authorities::Web,
                    Some(name) if name == "system" => Authorities::System,
                    Some(path) => Authorities::File(path),
                },
                timeout: millis("DATABASE_TIMEOUT_MS", 8_000),
            },
            tokens: Tokens {
                secret: secret("JWT_SECRET", "JWT_SECRET_ID"),
                jwks_url: text("JWKS_URL"),
                issuer: text("JWT_ISSUER"),
                audience: text("JWT_AUDIENCE").unwrap_or_else(|| "authenticated".to_owned()),
            },
            telnyx: Telnyx {
                url: text("TELNYX_API_URL").unwrap_or_else(|| "https://api.telnyx.com/v2".to_owned()).trim_end_matches('/').to_owned(),
                keys: TelnyxKeys {
                    plain: text("TELNYX_API_KEY"),
                    agency_secret: text("TELNYX_AGENCY_SECRET_ID"),
                    platform_secret: text("TELNYX_PLATFORM_SECRET_ID"),
                },
                timeout: millis("TELNYX_TIMEOUT_MS", 8_000),
                connect_timeout: millis("TELNYX_CONNECT_TIMEOUT_MS", 3_000),
            },
            purchase: Purchase {
                enabled: text("PURCHASES_ENABLED").is_none_or(|value| value.eq_ignore_ascii_case("true")),
                // A limit that cannot be read permits nothing.
                max_phone_numbers: text("MAX_PHONE_NUMBERS").map(|value| value.parse().unwrap_or(0)),
                max_plausible_price: text("MAX_PLAUSIBLE_PRICE").map_or(Some(MAX_PLAUSIBLE_PRICE), |value| storable_price(&value)),
                lease: millis("PURCHASE_LEASE_MS", LONGEST_LEASE_MS).min(Duration::from_millis(LONGEST_LEASE_MS)),
                order_missing_after: millis("PURCHASE_ORDER_MISSING_AFTER_MS", 5_000),
                expires_after: millis("PURCHASE_EXPIRES_AFTER_MS", 10 * 60 * 1_000),
                poll: millis("PURCHASE_POLL_MS", 250),
                keys_ttl: millis("IDEMPOTENCY_KEYS_TTL_MS", 24 * 60 * 60 * 1_000),
            },
            reconcile: Reconcile {
                batch: parsed(text("RECONCILE_BATCH"), 50),
                max_deactivated_percent: parsed(text("RECONCILE_MAX_DEACTIVATED_PERCENT"), 5),
                stuck_after: millis("RECONCILE_STUCK_AFTER_MS", 15 * 60 * 1_000),
                retention: days("RECONCILE_RETENTION_DAYS", text("RECONCILE_RETENTION_DAYS"), 90),
                service: text("METRICS_SERVICE").unwrap_or_else(|| "phone-numbers".to_owned()),
                public_keys: list("TELNYX_PUBLIC_KEY"),
            },
            allowed_origins: list("ALLOWED_ORIGINS"),
            request_budget: millis("REQUEST_BUDGET_MS", 25_000),
            secrets_ttl: millis("SECRETS_TTL_MS", 300_000),
            aws: Aws {
                region: text("AWS_REGION"),
                access_key_id: text("AWS_ACCESS_KEY_ID"),
                secret_access_key: text("AWS_SECRET_ACCESS_KEY"),
                session_token: text("AWS_SESSION_TOKEN"),
                secrets_manager_url: text("AWS_ENDPOINT_URL_SECRETS_MANAGER").or_else(|| text("AWS_ENDPOINT_URL")),
            },
        }
    }
}

/// A price that the columns for prices, `numeric(10, 4)`, can hold.
fn storable_price(text: &str) -> Option<Decimal> {
    let largest = Decimal::new(9_999_999_999, 4);
    Decimal::from_str_exact(text).ok().filter(|price| (Decimal::ZERO..=largest).contains(price))
}

/// A setting that cannot be read is one that was not made.
fn parsed<T: std::str::FromStr>(text: Option<String>, default: T) -> T {
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A number of days to keep something. One that cannot be read is an error and not the default, which could delete too much.
fn days(name: &str, text: Option<String>, default: u64) -> Result<Duration, String> {
    const A_DAY: Duration = Duration::from_hours(24);
    let days = text.map_or(Some(default), |text| text.parse().ok());
    let days = days.and_then(|days| u32::try_from(days).ok()).filter(|days| (1..=LONGEST_RETENTION_DAYS).contains(days));
    days.map(|days| A_DAY * days).ok_or_else(|| format!("{name} is not a number of days from 1 to {LONGEST_RETENTION_DAYS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_that_cannot_be_read_is_not_the_default() {
        let retention = |text: &str| Config::read(|name| (name == "RECONCILE_RETENTION_DAYS").then(|| text.to_owned())).reconcile.retention;
        assert_eq!(retention(""), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(retention(" 7 "), Ok(Duration::from_hours(7 * 24)));
        for text in ["ninety", "0", "-1", "1.5", "36501", "90d"] {
            assert!(retention(text).is_err(), "{text}");
        }
    }
}
