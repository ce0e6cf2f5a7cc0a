//! The servers that the programs use, as they are deployed: Postgres over TLS with SCRAM, Secrets Manager over HTTPS, tokens of an
//! issuer, the Runtime API. One agency has some hundred numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use super::machine;
use super::programs::{Access, Program};
use super::recording::Recorded;
use crate::certificates::Authority;
use crate::lambda::runtime_api::{Endpoint, RuntimeApi};
use crate::postgres::logins::{self, Login};
use crate::postgres::{Pooler, Server, connect, describe};
use crate::secrets_manager::{self, SecretsManager};
use crate::{demo, migrations, token};

const DATABASE: &str = "bench";
const JWT_SECRET: &str = "bench/jwt";
/// The name in the certificates.
const HOST: &str = "localhost";
/// The stores of certificate authorities of Amazon Linux and of Debian.
const SYSTEM_STORES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

const NUMBERS: &str = "\
insert into agency_phone_numbers
  (agency_id, phone_number, phone_number_id, friendly_name, number_type, country_code, sms_enabled, agent_mapping_id,
   monthly_cost, setup_cost, status, purchased_at, created_at)
select $1, '+1312' || (5550000 + n), (1293384261075700000 + n)::text, 'Line ' || n, 'local', 'US', true,
       case when n % 2 = 0 then $2::uuid end, 1.0, 1.0, 'active', now(), now() - n * interval '1 minute'
from generate_series(1, 200) as n
returning id";

const BACKENDS: &str = "select pid from pg_stat_activity where datname = $1 and backend_type = 'client backend'";

/// The servers, and what they hold.
pub(super) struct Fixture {
    server: Server,
    pooler: Option<Pooler>,
    /// A connection to the server.
    client: Client,
    secrets: SecretsManager,
    runtime_api: RuntimeApi,
    issuer: token::Issuer,
    signer: Ed25519KeyPair,
    folder: TempDir,
    row_id: Uuid,
}

impl Fixture {
    pub(super) async fn start(with_pooler: bool) -> Result<Self> {
        let authority = Authority::new("The Authority")?;
        let certificate = authority.certify(HOST)?;
        let server = Server::temporary_over_tls(&certificate).await?;
        server.require_scram().await?;
        let row_id = seed(&server).await?;
        let pooler = if with_pooler { Some(Pooler::start_over_tls(&server.url(DATABASE), 1, &certificate).await?) } else { None };
        let client = connect(server.admin_url()).await?;
        let secrets = SecretsManager::start_over_tls(&certificate).await?;
        let issuer = token::Issuer::default();
        secrets.set_text(JWT_SECRET, &issuer.secret);
        let folder = tempfile::tempdir()?;
        // What Lambda's system trusts, and our own authority besides.
        let system = SYSTEM_STORES.iter().find(|path| Path::new(path).exists()).map(fs::read_to_string).transpose()?.unwrap_or_default();
        fs::write(folder.path().join("system.pem"), format!("{system}\n{}", authority.pem()))?;
        fs::write(folder.path().join("authority.pem"), authority.pem())?;
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("there is no randomness"))?;
        let signer = Ed25519KeyPair::from_pkcs8(key.as_ref()).map_err(|error| anyhow!("a new key is not one: {error}"))?;
        Ok(Self { server, pooler, client, secrets, runtime_api: RuntimeApi::start().await?, issuer, signer, folder, row_id })
    }

    pub(super) fn issuer(&self) -> &token::Issuer {
        &self.issuer
    }

    /// A row of the agency.
    pub(super) fn row_id(&self) -> Uuid {
        self.row_id
    }

    /// Telnyx's signature of a webhook, in base64.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(self.signer.sign(message))
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.runtime_api.endpoint()
    }

    pub(super) fn postgres_port(&self) -> u16 {
        Url::parse(self.server.admin_url()).ok().and_then(|url| url.port()).unwrap_or_default()
    }

    /// The port at which a program finds Postgres: the server's own, or the pooler's.
    pub(super) fn port_of(&self, program: &Program) -> Result<u16> {
        match program.access {
            Access::Direct | Access::Unnamed => Ok(self.postgres_port()),
            Access::Pooler => Ok(self.pooler.as_ref().context("there is no pooler")?.port()),
        }
    }

    /// The CPU time so far of the processes of Postgres that serve the database.
    pub(super) async fn postgres_cpu(&self) -> Result<Duration> {
        let rows = self.client.query(BACKENDS, &[&DATABASE]).await.map_err(|error| describe(&error))?;
        rows.iter().map(|row| machine::cpu_time(row.try_get::<_, i32>(0)?.cast_unsigned())).sum()
    }

    /// The CPU time so far of the pooler, if a program uses it.
    pub(super) fn pooler_cpu(&self, program: &Program) -> Result<Option<Duration>> {
        let pooler = self.pooler.as_ref().filter(|_| program.access == Access::Pooler);
        pooler.map(|pooler| machine::cpu_time(pooler.process_id()?)).transpose()
    }

    pub(super) fn write_statements(&self, statements: &[Recorded]) -> Result<()> {
        Ok(fs::write(self.statements(), serde_json::to_vec(statements)?)?)
    }

    fn statements(&self) -> PathBuf {
        self.folder.path().join("statements.json")
    }

    /// The environment of a program that finds Postgres on a port: at the server's own, or at a relay's.
    pub(super) fn environment(&self, program: &Program, port: u16) -> Result<BTreeMap<String, String>> {
        let function = &program.function;
        let mut login = self.login(function, port, "require")?;
        if program.access == Access::Pooler {
            login += "&pgbouncer=true";
        }
        let secret = format!("bench/login-of-{function}-at-{port}");
        self.secrets.set_text(&secret, &login);
        let mut environment = self.common_environment();
        environment.insert("DATABASE_SECRET_ID".to_owned(), secret);
        if program.access == Access::Unnamed {
            environment.insert("DATABASE_PREPARED_STATEMENTS".to_owned(), "false".to_owned());
        }
        if program.is_reference {
            environment.insert("DATABASE_URL".to_owned(), login);
        }
        Ok(environment)
    }

    /// The environment of a function that connects without TLS.
    pub(super) fn plain_environment(&self, function: &str, port: u16) -> Result<BTreeMap<String, String>> {
        let mut environment = self.common_environment();
        environment.insert("DATABASE_URL".to_owned(), self.login(function, port, "disable")?);
        Ok(environment)
    }

    fn common_environment(&self) -> BTreeMap<String, String> {
        let file = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let public_key = BASE64_STANDARD.encode(self.signer.public_key());
        let url = self.secrets.url();
        let (statements, authority, system) = (file("statements.json"), file("authority.pem"), file("system.pem"));
        let ours = [
            ("DEPLOYMENT", migrations::DEPLOYMENT),
            ("DATABASE_CA_FILE", &authority),
            ("JWT_SECRET_ID", JWT_SECRET),
            ("JWT_ISSUER", &self.issuer.issuer),
            ("JWT_AUDIENCE", token::AUDIENCE),
            ("TELNYX_API_KEY", "KEY-that-is-never-sent"),
            ("TELNYX_API_URL", "http://127.0.0.1:9/v2"),
            ("TELNYX_PUBLIC_KEY", &public_key),
            ("BENCH_STATEMENTS", &statements),
            ("AWS_CA_BUNDLE", &authority),
            ("SSL_CERT_FILE", &system),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("TZ", ":UTC"),
        ];
        ours.into_iter().chain(secrets_manager::environment(&url)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The URL with which a function logs in.
    fn login(&self, function: &str, port: u16, mode: &str) -> Result<String> {
        let login = Login::of(function)?.with_context(|| format!("{function} has no login"))?;
        let mut url = Url::parse(&login.url(&self.server.url(DATABASE))?)?;
        url.set_query(Some(&format!("sslmode={mode}")));
        url.set_host(Some(HOST))?;
        url.set_port(Some(port)).map_err(|()| anyhow!("a database URL has a port"))?;
        Ok(url.into())
    }
}

/// Makes the database, and returns the id of one of the rows.
async fn seed(server: &Server) -> Result<Uuid> {
    server.create_database(DATABASE, None).await?;
    let url = server.url(DATABASE);
    migrations::platform(&url).await?;
    migrations::run(&url, Some(migrations::DEPLOYMENT)).await?;
    logins::ensure(&url).await?;
    demo::seed(&url).await?;
    let client = connect(&url).await?;
    let agent = demo::AGENTS.first().context("the demo has no agents")?;
    let rows = client.query(NUMBERS, &[&demo::DEMO.id, &agent.id]).await.map_err(|error| describe(&error))?;
    client.batch_execute("vacuum analyze").await.map_err(|error| describe(&error))?;
    Ok(rows.first().context("no row was inserted")?.get(0))
}
