//! The settings, read from the environment once when a process starts, and nowhere else.
//!
//! [`SETTINGS`] is the table of all settings. An empty variable counts as unset. A value that cannot be read or is out of its
//! range makes [`Invalid`], and never counts as the default. A missing value that has no default is an error of the first
//! request that needs it, which is answered with 503.

mod reader;
mod table;

use std::time::Duration;

use rust_decimal::Decimal;

pub use self::reader::Invalid;
use self::reader::Reader;
pub use self::table::{Fallback, Kind, SETTINGS, Setting};
use crate::model::Origin;

/// Where a secret is: in the environment, for local use, or in AWS Secrets Manager.
#[derive(Clone)]
pub enum SecretSource {
    /// The value itself.
    Plain(String),
    /// A secret's name or ARN.
    SecretsManager(String),
}

/// Settings of the connection to Postgres: `DATABASE_*`.
#[derive(Clone)]
pub struct Database {
    /// `postgres://user:password@host:port/name`, with TLS unless it says `sslmode=disable`; or the JSON that RDS keeps,
    /// which the next four complete.
    pub login: Option<SecretSource>,
    /// The host; overrides that of the JSON.
    pub host: Option<String>,
    /// The port; overrides that of the JSON.
    pub port: Option<u16>,
    /// The database; overrides that of the JSON.
    pub name: Option<String>,
    /// Whether to connect without TLS where the login is JSON.
    pub plaintext: bool,
    /// Whether statements are prepared under names; None finds out.
    pub prepared_statements: Option<bool>,
    /// The certificate authorities to trust.
    pub authorities: Authorities,
    /// The longest time for a statement, with the connection that it needs. All other time limits are shares of it.
    pub timeout: Duration,
}

/// Certificate authorities.
#[derive(Clone)]
pub enum Authorities {
    /// Those of the public web, which are built in.
    Web,
    /// Those of the operating system.
    System,
    /// Those in a PEM file.
    File(String),
}

/// Settings by which callers' tokens are verified: `JWT_*` and `JWKS_URL`.
#[derive(Clone)]
pub struct Tokens {
    /// The key of HS256 tokens.
    pub secret: Option<SecretSource>,
    /// Where the public keys of RS256 and ES256 tokens are published.
    pub jwks_url: Option<String>,
    /// The `iss` that a token must have.
    pub issuer: Option<String>,
    /// The `aud` that a token must have.
    pub audience: String,
}

/// Where the API keys of Telnyx accounts are.
#[derive(Clone, Default)]
pub struct TelnyxKeys {
    /// One key for all agencies, for local use; overrides the two below.
    pub plain: Option<String>,
    /// The name of the secret with an agency's own key; contains `{agency_id}`.
    pub agency_secret: Option<String>,
    /// The name of the secret with the key for agencies without a secret of their own.
    pub platform_secret: Option<String>,
}

/// Settings of the client for Telnyx.
#[derive(Clone)]
pub struct Telnyx {
    /// The base URL, with the version and without a trailing slash.
    pub url: String,
    /// The keys.
    pub keys: TelnyxKeys,
    /// The longest time for one call; less than a lease.
    pub timeout: Duration,
    /// The longest time for connecting.
    pub connect_timeout: Duration,
}

/// Settings of purchases and releases.
#[derive(Clone, Copy)]
pub struct Purchase {
    /// Whether numbers may be bought.
    pub enabled: bool,
    /// How many numbers an agency may have, unless its own settings say otherwise; None is no limit.
    pub max_phone_numbers: Option<i64>,
    /// The highest price, monthly or once and in any currency, at which a number is bought, whatever the request permits.
    pub max_plausible_price: Decimal,
    /// How long a process that works on a purchase, a release, an idempotency key or a walk keeps others off it; renewed while
    /// the work goes on.
    pub lease: Duration,
    /// An order whose outcome is unknown may be placed again once two look-ups at least this far apart did not find it.
    pub order_missing_after: Duration,
    /// The age at which a purchase that was never ordered fails.
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

/// So many in a time.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many.
    pub most: u32,
    /// In this time.
    pub per: Duration,
}

/// Limits on what users and agencies may do in a time; None is no limit.
#[derive(Clone, Copy, Default)]
pub struct Rates {
    /// How often a user may search.
    pub searches: Option<Rate>,
    /// How many purchases an agency may begin.
    pub purchases: Option<Rate>,
}

/// Settings of reconcile.
#[derive(Clone)]
pub struct Reconcile {
    /// How many purchases or releases a batch has, and how many rows that predate the ledger a run takes up.
    pub batch: i64,
    /// The largest part of an account's numbers that one walk may deactivate; one number is always permitted.
    pub max_deactivated_percent: u32,
    /// A purchase or release that is unfinished after this long counts as stuck, unless it waits for documents.
    pub stuck_after: Duration,
    /// How long closed findings and the free text of failures are kept.
    pub retention: Duration,
    /// The dimension `Service` of the metrics, which tells deployments apart.
    pub service: String,
    /// The keys with which Telnyx signs webhooks, one for each account, as base64 of 32 bytes.
    pub public_keys: Vec<String>,
}

/// The settings of a function.
#[derive(Clone)]
pub struct Config {
    /// The deployment that this process is part of, such as `phone-numbers-prod`. Nothing is written at Telnyx unless the database
    /// carries the same name.
    pub deployment: Option<String>,
    /// Postgres.
    pub database: Database,
    /// The tokens of callers.
    pub tokens: Tokens,
    /// Telnyx.
    pub telnyx: Telnyx,
    /// Purchases.
    pub purchase: Purchase,
    /// How much users and agencies may do in a time.
    pub rates: Rates,
    /// The comparison with Telnyx.
    pub reconcile: Reconcile,
    /// The origins that browsers may call from.
    pub allowed_origins: Vec<Origin>,
    /// The longest time for a request or a run. API Gateway gives up after 30 s, and web clients after 29 s.
    pub request_budget: Duration,
    /// The time to live of a cached secret.
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
    /// `AWS_CA_BUNDLE`: a PEM file with the certificate authorities to trust. None trusts Amazon's.
    pub authorities_file: Option<String>,
}

/// How the log is written, from the variables that Lambda sets by the function's `LoggingConfig`.
pub struct Logging {
    /// `AWS_LAMBDA_LOG_LEVEL`; `INFO` if it is not set.
    pub level: String,
    /// Whether `AWS_LAMBDA_LOG_FORMAT` is `JSON`.
    pub is_json: bool,
    /// `AWS_LAMBDA_FUNCTION_VERSION`: the published version that runs.
    pub version: Option<String>,
}

impl Logging {
    /// Reads the environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        // With `Config::from_env`, the only place that may read it.
        #[allow(clippy::disallowed_methods)]
        let read = |name| std::env::var(name).ok();
        Self {
            level: read("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|| "INFO".to_owned()),
            is_json: read("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")),
            version: read("AWS_LAMBDA_FUNCTION_VERSION"),
        }
    }
}

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// As [`Config::read`] and [`Config::consistent`].
    pub fn from_env() -> Result<Self, Invalid> {
        // With `Logging::from_env`, the only place that may read it.
        #[allow(clippy::disallowed_methods)]
        Self::read(|name| std::env::var(name).ok())?.consistent()
    }

    /// Reads the settings that `lookup` finds by their names.
    ///
    /// # Errors
    /// A value cannot be read or is out of its range.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        let mut reader = Reader::new(lookup);
        let allowed_origins = reader.origins(&table::ALLOWED_ORIGINS);
        let deployment = reader.text(&table::DEPLOYMENT);
        let (database, tokens) = (Database::read(&mut reader), Tokens::read(&mut reader));
        let (telnyx, purchase) = (Telnyx::read(&mut reader), Purchase::read(&mut reader));
        let (rates, reconcile, aws) = (Rates::read(&mut reader), Reconcile::read(&mut reader), Aws::read(&mut reader));
        let (request_budget, secrets_ttl) = (reader.millis(&table::REQUEST_BUDGET_MS), reader.millis(&table::SECRETS_TTL_MS));
        let config = || {
            Some(Self {
                deployment,
                database: database?,
                tokens: tokens?,
                telnyx: telnyx?,
                purchase: purchase?,
                rates,
                reconcile: reconcile?,
                allowed_origins,
                request_budget: request_budget?,
                secrets_ttl: secrets_ttl?,
                aws,
            })
        };
        reader.finish(config())
    }

    /// Checks the relations between settings.
    ///
    /// # Errors
    /// A call to Telnyx could outlast the lease that it is made under, or an idempotency key could expire while its request is
    /// worked on.
    pub fn consistent(self) -> Result<Self, Invalid> {
        let lease = self.purchase.lease;
        let relations = [
            (self.telnyx.timeout < lease, format!("{} must be less than {}", table::TELNYX_TIMEOUT_MS.name, table::LEASE_MS.name)),
            (self.purchase.keys_ttl > lease, format!("{} must be more than {}", table::IDEMPOTENCY_KEYS_TTL_MS.name, table::LEASE_MS.name)),
        ];
        let reasons: Vec<_> = relations.into_iter().filter(|(holds, _)| !holds).map(|(_, reason)| reason).collect();
        if reasons.is_empty() { Ok(self) } else { Err(Invalid { reasons, allowed_origins: self.allowed_origins }) }
    }
}

impl Database {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        Some(Self {
            login: reader.secret(&table::DATABASE_URL, &table::DATABASE_SECRET_ID),
            host: reader.text(&table::DATABASE_HOST),
            port: reader.integer(&table::DATABASE_PORT),
            name: reader.text(&table::DATABASE_NAME),
            plaintext: reader.text(&table::DATABASE_SSLMODE).as_deref() == Some("disable"),
            prepared_statements: reader.boolean(&table::DATABASE_PREPARED_STATEMENTS),
            authorities: match reader.text(&table::DATABASE_CA_FILE) {
                None => Authorities::Web,
                Some(name) if name == "system" => Authorities::System,
                Some(path) => Authorities::File(path),
            },
            timeout: reader.millis(&table::DATABASE_TIMEOUT_MS)?,
        })
    }
}

impl Tokens {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        Some(Self {
            secret: reader.secret(&table::JWT_SECRET, &table::JWT_SECRET_ID),
            jwks_url: reader.text(&table::JWKS_URL),
            issuer: reader.text(&table::JWT_ISSUER),
            audience: reader.text(&table::JWT_AUDIENCE)?,
        })
    }
}

impl Telnyx {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        let keys = TelnyxKeys {
            plain: reader.text(&table::TELNYX_API_KEY),
            agency_secret: reader.text(&table::TELNYX_AGENCY_SECRET_ID),
            platform_secret: reader.text(&table::TELNYX_PLATFORM_SECRET_ID),
        };
        let url = reader.text(&table::TELNYX_API_URL);
        let (timeout, connect_timeout) = (reader.millis(&table::TELNYX_TIMEOUT_MS), reader.millis(&table::TELNYX_CONNECT_TIMEOUT_MS));
        Some(Self { url: url?.trim_end_matches('/').to_owned(), keys, timeout: timeout?, connect_timeout: connect_timeout? })
    }
}

impl Purchase {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        let (enabled, max_phone_numbers) = (reader.boolean(&table::PURCHASES_ENABLED), reader.integer(&table::MAX_PHONE_NUMBERS));
        let (max_plausible_price, lease) = (reader.decimal(&table::MAX_PLAUSIBLE_PRICE), reader.millis(&table::LEASE_MS));
        let order_missing_after = reader.millis(&table::PURCHASE_ORDER_MISSING_AFTER_MS);
        let (expires_after, poll) = (reader.millis(&table::PURCHASE_EXPIRES_AFTER_MS), reader.millis(&table::PURCHASE_POLL_MS));
        let keys_ttl = reader.millis(&table::IDEMPOTENCY_KEYS_TTL_MS);
        Some(Self {
            enabled: enabled?,
            max_phone_numbers,
            max_plausible_price: max_plausible_price?,
            lease: lease?,
            order_missing_after: order_missing_after?,
            expires_after: expires_after?,
            poll: poll?,
            keys_ttl: keys_ttl?,
        })
    }
}

impl Rates {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Self {
        let rate = |most: Option<u32>, per| most.map(|most| Rate { most, per });
        Self {
            searches: rate(reader.integer(&table::MAX_SEARCHES_PER_MINUTE), Duration::from_mins(1)),
            purchases: rate(reader.integer(&table::MAX_PURCHASES_PER_HOUR), Duration::from_hours(1)),
        }
    }
}

impl Reconcile {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        let (batch, max_deactivated_percent) =
            (reader.integer(&table::RECONCILE_BATCH), reader.integer(&table::RECONCILE_MAX_DEACTIVATED_PERCENT));
        let (stuck_after, retention) = (reader.millis(&table::RECONCILE_STUCK_AFTER_MS), reader.days(&table::RECONCILE_RETENTION_DAYS));
        let (service, public_keys) = (reader.text(&table::METRICS_SERVICE), reader.list(&table::TELNYX_PUBLIC_KEY));
        Some(Self {
            batch: batch?,
            max_deactivated_percent: max_deactivated_percent?,
            stuck_after: stuck_after?,
            retention: retention?,
            service: service?,
            public_keys,
        })
    }
}

impl Aws {
    fn read<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Self {
        let other_endpoint = reader.text(&table::AWS_ENDPOINT_URL);
        Self {
            region: reader.text(&table::AWS_REGION),
            access_key_id: reader.text(&table::AWS_ACCESS_KEY_ID),
            secret_access_key: reader.text(&table::AWS_SECRET_ACCESS_KEY),
            session_token: reader.text(&table::AWS_SESSION_TOKEN),
            secrets_manager_url: reader.text(&table::AWS_ENDPOINT_URL_SECRETS_MANAGER).or(other_endpoint),
            authorities_file: reader.text(&table::AWS_CA_BUNDLE),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, Invalid> {
        Config::read(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    /// The reasons why settings are refused.
    fn reasons(settings: &[(&str, &str)]) -> Vec<String> {
        read(settings).and_then(Config::consistent).err().map(|invalid| invalid.reasons).unwrap_or_default()
    }

    #[test]
    fn every_default_is_within_its_range_and_all_together_are_consistent() {
        assert_eq!(reasons(&[]), Vec::<String>::new());
        for setting in SETTINGS {
            if let Fallback::Value(value) = setting.default {
                assert_eq!(reasons(&[(setting.name, value)]), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn a_value_that_cannot_be_read_or_is_out_of_range_is_an_error_that_names_the_setting() {
        for setting in SETTINGS {
            let wrong: Vec<String> = match setting.kind {
                Kind::Integer(least, most) => {
                    let below = least.checked_sub(1).map_or("-1".to_owned(), |below| below.to_string());
                    vec![
                        below,
                        (most + 1).to_string(),
                        "many".to_owned(),
                        "1.5".to_owned(),
                        "1e3".to_owned(),
                        "99999999999999999999".to_owned(),
                    ]
                }
                Kind::Decimal(_) => ["-1", "1000000", "1,000", "1e3", "NaN", "a thousand"].map(str::to_owned).to_vec(),
                Kind::Boolean => ["0", "1", "yes", "no", "tru"].map(str::to_owned).to_vec(),
                Kind::OneOf(_) | Kind::Deployment => ["no name", "-x"].map(str::to_owned).to_vec(),
                Kind::Url => vec!["example.com".to_owned()],
                Kind::HttpsUrl => {
                    ["example.com", "http://example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://localhost"]
                        .map(str::to_owned)
                        .to_vec()
                }
                Kind::Origins => ["example.com", "https://*", "http://localhost:*,nonsense"].map(str::to_owned).to_vec(),
                Kind::Pattern(_) => vec!["without it".to_owned()],
                Kind::Text | Kind::Path | Kind::List => Vec::new(),
            };
            let mut same = None;
            for value in wrong {
                let reasons = reasons(&[(setting.name, &value)]);
                assert_eq!(reasons.len(), 1, "{}={value}", setting.name);
                assert!(reasons[0].starts_with(setting.name), "{}", reasons[0]);
                // A value may be secret: the reason is the same whatever it is.
                assert_eq!(same.get_or_insert_with(|| reasons[0].clone()), &reasons[0]);
            }
        }
    }

    #[test]
    fn everything_wrong_is_reported_at_once_and_allowed_origins_stay() {
        let settings = [("LEASE_MS", "0"), ("RECONCILE_BATCH", "all"), ("ALLOWED_ORIGINS", "https://app.example.com,nonsense")];
        let invalid = read(&settings).err().unwrap();
        assert_eq!(invalid.reasons.len(), 3, "{invalid}");
        assert_eq!(invalid.allowed_origins, ["https://app.example.com".parse().unwrap()]);
    }

    #[test]
    fn a_former_name_is_still_read_but_not_beside_another_value() {
        let lease = |settings: &[(&str, &str)]| read(settings).map(|config| config.purchase.lease.as_millis()).ok();
        assert_eq!(lease(&[("PURCHASE_LEASE_MS", "500")]), Some(500));
        assert_eq!(lease(&[("LEASE_MS", "600")]), Some(600));
        assert_eq!(lease(&[("LEASE_MS", ""), ("PURCHASE_LEASE_MS", "500")]), Some(500));
        assert_eq!(lease(&[("LEASE_MS", "500"), ("PURCHASE_LEASE_MS", "500")]), Some(500));
        assert_eq!(lease(&[("LEASE_MS", "600"), ("PURCHASE_LEASE_MS", "500")]), None);
    }

    #[test]
    fn relations_between_settings_are_checked() {
        for settings in [[("TELNYX_TIMEOUT_MS", "10000")], [("LEASE_MS", "8000")], [("IDEMPOTENCY_KEYS_TTL_MS", "10000")]] {
            assert_eq!(reasons(&settings).len(), 1, "{settings:?}");
        }
        assert_eq!(reasons(&[("TELNYX_TIMEOUT_MS", "400"), ("LEASE_MS", "500")]), Vec::<String>::new());
    }

    #[test]
    fn empty_is_unset_and_blanks_at_both_ends_are_ignored() {
        let retention = |text: &str| read(&[("RECONCILE_RETENTION_DAYS", text)]).ok().map(|config| config.reconcile.retention);
        assert_eq!(retention(" "), Some(Duration::from_hours(90 * 24)));
        assert_eq!(retention(" 7 "), Some(Duration::from_hours(7 * 24)));
    }
}
