//! The settings: name, type, unit, default, range and meaning of each. `docs/configuration.md` has the same table, and a test
//! compares the two.

use Fallback::{Described, Nothing, Value};
use Kind::{Boolean, Decimal, Deployment, HttpsUrl, Integer, List, OneOf, Origins, Path, Pattern, Text, Url};

/// The type of a setting, with the values that it permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A URL that is used as it is.
    Url,
    /// A URL with `https:`, or with `http:` and a host that is this machine.
    HttpsUrl,
    /// A file.
    Path,
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number from the first to the second.
    Integer(u64, u64),
    /// An amount from 0 to this, which is written as it is read.
    Decimal(&'static str),
    /// Texts, separated by commas.
    List,
    /// Origins, separated by commas: [`crate::model::Origin`].
    Origins,
    /// Text that contains this placeholder.
    Pattern(&'static str),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of a deployment: [`crate::model::is_deployment`].
    Deployment,
}

/// What holds where a setting is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This value, read as if it had been set.
    Value(&'static str),
    /// No value.
    Nothing,
    /// No value here; the text says what is used instead.
    Described(&'static str),
}

/// A setting: a variable of the environment.
#[derive(Debug)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// A name that the setting had earlier, which is still read.
    pub former_name: Option<&'static str>,
    /// The type and the range.
    pub kind: Kind,
    /// The unit of a number; empty for other types.
    pub unit: &'static str,
    /// What holds where it is not set.
    pub default: Fallback,
    /// What the text has to be, where the type alone does not say it.
    pub form: &'static str,
    /// What it does, in Markdown.
    pub meaning: &'static str,
}

/// Declares the settings and lists them in their order.
macro_rules! settings {
    ($($name:ident $(formerly $former:ident)? : $kind:expr, $unit:literal, $default:expr, $form:literal, $meaning:expr;)+) => {
        $(
            pub(super) const $name: Setting = Setting {
                name: stringify!($name),
                former_name: settings!(@former $($former)?),
                kind: $kind,
                unit: $unit,
                default: $default,
                form: $form,
                meaning: $meaning,
            };
        )+

        /// Every setting.
        pub const SETTINGS: &[Setting] = &[$($name),+];
    };
    (@former) => { None };
    (@former $former:ident) => { Some(stringify!($former)) };
}

/// A day in milliseconds.
const A_DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A run of a Lambda function takes at most this long.
const LAMBDA_MS: u64 = 15 * 60 * 1_000;
/// Every value but `disable` means TLS with full verification, also those with which other clients verify less.
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

settings! {
    DEPLOYMENT: Deployment, "", Nothing, "1 to 128 letters, digits and hyphens, not beginning with a hyphen",
        "name of the deployment. The database carries it too; with another name or none, nothing is bought, cancelled or released";

    DATABASE_URL: Text, "", Nothing, "`postgres://user:password@host:port/database`, or the JSON of `DATABASE_SECRET_ID`",
        "how to log in to Postgres; overrides `DATABASE_SECRET_ID`. TLS with full verification unless the URL says `sslmode=disable`";
    DATABASE_SECRET_ID: Text, "", Nothing, "name or ARN",
        "the secret with the login: a URL, or the JSON that RDS keeps";
    DATABASE_HOST: Text, "", Described("the JSON's `host`"), "",
        "overrides the host where the login is JSON, for a proxy for example";
    DATABASE_PORT: Integer(1, 65_535), "", Described("the JSON's `port`, or 5432"), "",
        "overrides the port where the login is JSON";
    DATABASE_NAME: Text, "", Described("the JSON's `dbname`"), "",
        "overrides the database where the login is JSON; required with a secret that RDS manages, which has none";
    DATABASE_SSLMODE: OneOf(SSL_MODES), "", Described("TLS"), "",
        "`disable` connects without TLS where the login is JSON; every other value means TLS with full verification";
    DATABASE_PREPARED_STATEMENTS: Boolean, "", Described("`false` if a pooler is noticed"), "",
        "`false` sends every statement without a name, as behind a pooler that does not follow prepared statements; overrides \
         `pgbouncer=true` and `pgbouncer=false` in the URL";
    DATABASE_CA_FILE: Path, "", Described("the public web's authorities"), "a PEM file, or `system` for the operating system's",
        "the certificate authorities to trust for the database";
    DATABASE_TIMEOUT_MS: Integer(100, LAMBDA_MS), "ms", Value("8000"), "",
        "the longest time for a statement, with the connection that it needs. The limits on connecting, statements, locks and idle \
         transactions are eighths of it (3, 7, 5, 5). For migrate only connecting is limited";

    JWT_SECRET: Text, "", Nothing, "at least 32 bytes", "key of HS256 tokens; overrides `JWT_SECRET_ID`";
    JWT_SECRET_ID: Text, "", Nothing, "name or ARN", "the secret with the key of HS256 tokens";
    JWKS_URL: HttpsUrl, "", Nothing, "`https:`; `http:` only for this machine",
        "where the keys of RS256 and ES256 tokens are published. One of `JWT_SECRET`, `JWT_SECRET_ID` and `JWKS_URL` is required";
    JWT_ISSUER: Text, "", Nothing, "", "required; the `iss` that a token must have";
    JWT_AUDIENCE: Text, "", Value("authenticated"), "", "the `aud` that a token must have";
    ALLOWED_ORIGINS: Origins, "", Nothing,
        "origins; `*` stands for a port (`http://localhost:*`), for subdomains (`https://*.example.com`) or, alone, for every origin",
        "origins that browsers may call from";

    TELNYX_API_KEY: Text, "", Nothing, "", "one API key for all agencies, for local use; overrides the two settings below";
    TELNYX_AGENCY_SECRET_ID: Pattern("{agency_id}"), "", Nothing, "", "name of the secret with an agency's own API key";
    TELNYX_PLATFORM_SECRET_ID: Text, "", Nothing, "name or ARN",
        "the secret with the API key for agencies without a secret of their own";
    TELNYX_API_URL: Url, "", Value("https://api.telnyx.com/v2"), "", "base URL of Telnyx's API";
    TELNYX_TIMEOUT_MS: Integer(1, LAMBDA_MS), "ms", Value("8000"), "",
        "the longest time for one call, with its repetition after a refused key; must be less than `LEASE_MS`";
    TELNYX_CONNECT_TIMEOUT_MS: Integer(1, LAMBDA_MS), "ms", Value("3000"), "", "the longest time for connecting";

    PURCHASES_ENABLED: Boolean, "", Value("true"), "",
        "`false` stops all buying: no purchase is begun, no order is placed. What was ordered is finished, and repeated requests are \
         answered";
    MAX_PHONE_NUMBERS: Integer(0, 1_000_000_000), "numbers", Described("no limit"), "",
        "how many numbers an agency may have, unless `agencies.settings ->> 'max_phone_numbers'` says otherwise";
    MAX_SEARCHES_PER_MINUTE: Integer(1, 1_000_000), "searches", Described("no limit"), "",
        "how often a user may search in a minute. More are answered with 429. So many may be made at once; the allowance grows back evenly";
    MAX_PURCHASES_PER_HOUR: Integer(1, 1_000_000), "numbers", Described("no limit"), "",
        "how many purchases an agency may begin in an hour, in the same way. Repeated requests and resumed purchases do not count";
    MAX_PLAUSIBLE_PRICE: Decimal("999999.9999"), "any currency", Value("1000"), "",
        "the highest price, monthly or once, at which a number is bought, whatever the request permits. An unknown price is not above it";
    LEASE_MS formerly PURCHASE_LEASE_MS: Integer(10, 10_000), "ms", Value("10000"), "",
        "how long a process that works on a purchase, a release, an idempotency key or a walk keeps others off it; renewed while work \
         goes on";
    PURCHASE_ORDER_MISSING_AFTER_MS: Integer(0, A_DAY_MS), "ms", Value("5000"), "",
        "how far apart two look-ups must be that do not find an order before it may be placed again. Telnyx is expected to show \
         everything within 12 times this; a number, within 6 times";
    PURCHASE_EXPIRES_AFTER_MS: Integer(1, 7 * A_DAY_MS), "ms", Value("600000"), "",
        "age at which a purchase that was never ordered fails with `purchase_expired`";
    PURCHASE_POLL_MS: Integer(1, 60_000), "ms", Value("250"), "",
        "pause before a pending order is looked at again; it grows to at most 8 times this";
    IDEMPOTENCY_KEYS_TTL_MS: Integer(1, 30 * A_DAY_MS), "ms", Value("86400000"), "",
        "how long an idempotency key lives after its first request, and after the end of the last purchase that it lists; must be more \
         than `LEASE_MS`";

    RECONCILE_BATCH: Integer(1, 10_000), "rows", Value("50"), "",
        "how many purchases or releases are taken up at a time, until their share of the run is spent; how many rows that predate the \
         ledger a run takes up; how many agencies' own accounts a run looks for beside those in the ledger";
    RECONCILE_MAX_DEACTIVATED_PERCENT: Integer(0, 100), "percent", Value("5"), "",
        "the largest part of an account's numbers that one walk may deactivate; one number is always permitted. If more are missing, \
         none is deactivated";
    RECONCILE_STUCK_AFTER_MS: Integer(0, 7 * A_DAY_MS), "ms", Value("900000"), "",
        "a purchase or release that is unfinished for longer counts as stuck, unless it waits for documents; a pending row that predates \
         the ledger may then be given up";
    RECONCILE_RETENTION_DAYS: Integer(1, 36_500), "days", Value("90"), "",
        "how long closed findings and the free text of failures are kept";
    METRICS_SERVICE: Text, "", Value("phone-numbers"), "", "value of the dimension `Service` of reconcile's metrics";
    TELNYX_PUBLIC_KEY: List, "", Nothing, "Base64 of 32 bytes each",
        "the keys with which Telnyx signs webhooks, one for each account. Without any, webhooks are answered with 503";

    REQUEST_BUDGET_MS: Integer(1, LAMBDA_MS), "ms", Value("25000"), "",
        "the longest time for a request, or for a run of reconcile; what Lambda still grants, less 3 s, if that is shorter";
    SECRETS_TTL_MS: Integer(0, A_DAY_MS), "ms", Value("300000"), "",
        "time to live of a cached secret. A secret whose content is refused is read again at once";

    AWS_REGION: Text, "", Nothing, "", "region of Secrets Manager; Lambda sets it";
    AWS_ACCESS_KEY_ID: Text, "", Nothing, "", "credentials for Secrets Manager; Lambda sets them";
    AWS_SECRET_ACCESS_KEY: Text, "", Nothing, "", "the same";
    AWS_SESSION_TOKEN: Text, "", Nothing, "", "the same";
    AWS_ENDPOINT_URL_SECRETS_MANAGER: Url, "", Described("AWS's"), "", "another Secrets Manager, for tests";
    AWS_ENDPOINT_URL: Url, "", Described("AWS's"), "", "the same; `AWS_ENDPOINT_URL_SECRETS_MANAGER` overrides it";
    AWS_CA_BUNDLE: Path, "", Described("Amazon's"), "a PEM file",
        "the certificate authorities to trust for Secrets Manager, where a proxy stands before it for example";
}

impl Setting {
    /// The name of its type, as the documentation has it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            Text | OneOf(_) | Deployment | Pattern(_) => "text",
            Url | HttpsUrl => "URL",
            Path => "path",
            Boolean => "boolean",
            Integer(..) => "integer",
            Decimal(_) => "decimal",
            List | Origins => "list",
        }
    }

    /// The values that it permits, as the documentation has them; empty where every text will do.
    #[must_use]
    pub fn range(&self) -> String {
        match self.kind {
            Integer(least, most) => format!("{least} to {most}"),
            Decimal(most) => format!("0 to {most}"),
            Boolean => "`true` or `false`, in any case".to_owned(),
            OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Pattern(placeholder) => format!("contains `{placeholder}`"),
            List | Origins => format!("{}; separated by commas", self.form),
            Text | Url | HttpsUrl | Path | Deployment => self.form.to_owned(),
        }
    }
}
