//! The Postgres that all instances share, over TLS with SCRAM, and for each step a database, a Telnyx and a log of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use reqwest::Url;
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use super::telnyx::Telnyx;
use super::workload::Workload;
use crate::certificates::Authority;
use crate::lambda::functions::Programs;
use crate::lambda::template::{Definition, Template};
use crate::postgres::{Server, connect, describe, logins};
use crate::{migrations, token, workspace};

/// The database of which each step gets a copy.
const TEMPLATE: &str = "instances_template";
/// The name in the certificate.
const HOST: &str = "localhost";

/// How many agencies there are. Instances take turns with them, so that with many instances some work for the same one.
pub(super) const AGENCIES: usize = 16;

const INSERT_AGENCIES: &str = "\
insert into agencies (id, name, slug, telnyx_application_id, telephony_configured)
select t.id, 'Agency ' || t.n, 'agency-' || t.n, (1293384261075731600 + t.n)::text, true
from unnest($1::uuid[]) with ordinality as t (id, n)";

const INSERT_OWNERS: &str = "\
insert into users (id, agency_id, role, email)
select t.id, t.agency_id, 'agency_owner', 'owner-' || t.n || '@agencies.example'
from unnest($1::uuid[], $2::uuid[]) with ordinality as t (id, agency_id, n)";

const INSERT_NUMBERS: &str = "\
insert into agency_phone_numbers
  (agency_id, phone_number, phone_number_id, friendly_name, number_type, country_code, sms_enabled,
   monthly_cost, setup_cost, status, purchased_at, created_at)
select t.id, '+1312' || (2000000 + 1000 * t.n + line.n), (1293384261075700000 + 1000 * t.n + line.n)::text, 'Line ' || line.n, 'local',
       'US', true, 1.0, 1.0, 'active', now(), now() - line.n * interval '1 minute'
from unnest($1::uuid[]) with ordinality as t (id, n)
cross join generate_series(1, 200) as line (n)";

/// The server, and the programs of the functions.
pub struct Fixture {
    server: Server,
    folder: TempDir,
    programs: Programs,
    template: Template,
}

/// What the instances of one step use.
pub(super) struct Site {
    url: String,
    telnyx: Telnyx,
    issuer: token::Issuer,
    /// The file that the instances log to.
    pub(super) log: PathBuf,
    authority: PathBuf,
}

impl Fixture {
    /// Starts the server, for functions with these programs.
    ///
    /// # Errors
    /// If it does not start, or a migration fails.
    pub async fn start(programs: Programs) -> Result<Self> {
        let authority = Authority::new("The Authority")?;
        let server = Server::temporary_over_tls(&authority.certify(HOST)?).await?;
        server.require_scram().await?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("authority.pem"), authority.pem())?;
        server.create_database(TEMPLATE, None).await?;
        let url = server.url(TEMPLATE);
        migrations::platform(&url).await?;
        migrations::run(&url, Some(migrations::DEPLOYMENT)).await?;
        logins::ensure(&url).await?;
        insert_agencies(&url).await?;
        Ok(Self { server, folder, programs, template: Template::read(&workspace::root().join("template.yaml"))? })
    }

    /// A new database and a new Telnyx for a workload.
    pub(super) async fn open(&self, workload: Workload) -> Result<Site> {
        let name = format!("instances_{}", Uuid::new_v4().simple());
        self.server.create_database(&name, Some(TEMPLATE)).await?;
        let site = Site {
            url: self.server.url(&name),
            telnyx: Telnyx::start(workload.telnyx()).await?,
            issuer: token::Issuer::default(),
            log: self.folder.path().join(format!("{name}.log")),
            authority: self.folder.path().join("authority.pem"),
        };
        let client = site.connect().await?;
        if workload == Workload::List {
            let agencies: Vec<_> = (0..AGENCIES).map(agency).collect();
            client.execute(INSERT_NUMBERS, &[&agencies]).await.map_err(|error| describe(&error))?;
        }
        client.batch_execute("vacuum analyze").await.map_err(|error| describe(&error))?;
        Ok(site)
    }

    pub(super) fn program(&self, function: &str) -> Result<PathBuf> {
        self.programs.get(function).cloned().with_context(|| format!("{function} has no program"))
    }

    pub(super) fn definition(&self, function: &str) -> Result<Definition> {
        let found = self.template.functions.iter().find(|definition| definition.name == function);
        found.cloned().with_context(|| format!("the template has no {function}"))
    }

    /// The server's `max_connections`.
    pub(super) async fn max_connections(&self) -> Result<u32> {
        let client = connect(self.server.admin_url()).await?;
        let row = client.query_one("select current_setting('max_connections')", &[]).await.map_err(|error| describe(&error))?;
        Ok(row.try_get::<_, String>(0)?.parse()?)
    }
}

impl Site {
    /// A connection of ours, without TLS.
    pub(super) async fn connect(&self) -> Result<Client> {
        connect(&self.url).await
    }

    pub(super) fn telnyx(&self) -> &Telnyx {
        &self.telnyx
    }

    pub(super) fn token(&self, user: Uuid) -> String {
        self.issuer.token(user, "owner@agencies.example")
    }

    /// The environment of an instance. Its connections carry its name.
    pub(super) fn environment(&self, workload: Workload, instance: usize) -> Result<BTreeMap<String, String>> {
        let mut login = Url::parse(&workload.login().url(&self.url)?)?;
        login.set_query(Some(&format!("sslmode=require&application_name=instance-{instance}")));
        login.set_host(Some(HOST)).map_err(|error| anyhow!("a database URL has a host: {error}"))?;
        let authority = self.authority.to_string_lossy();
        let variables = [
            ("DEPLOYMENT", migrations::DEPLOYMENT),
            ("DATABASE_URL", login.as_str()),
            ("DATABASE_CA_FILE", &authority),
            ("JWT_SECRET", &self.issuer.secret),
            ("JWT_ISSUER", &self.issuer.issuer),
            ("JWT_AUDIENCE", token::AUDIENCE),
            ("TELNYX_API_URL", &self.telnyx.url),
            ("TELNYX_API_KEY", &self.telnyx.api_key),
        ];
        Ok(variables.into_iter().chain(workload.settings()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

async fn insert_agencies(url: &str) -> Result<()> {
    let agencies: Vec<_> = (0..AGENCIES).map(agency).collect();
    let owners: Vec<_> = (0..AGENCIES).map(owner).collect();
    let client = connect(url).await?;
    client.execute(INSERT_AGENCIES, &[&agencies]).await.map_err(|error| describe(&error))?;
    client.execute(INSERT_OWNERS, &[&owners, &agencies]).await.map_err(|error| describe(&error))?;
    Ok(())
}

fn agency(index: usize) -> Uuid {
    id(1, index)
}

/// The user who may do everything in an agency.
pub(super) fn owner(agency: usize) -> Uuid {
    id(2, agency)
}

fn id(kind: u128, index: usize) -> Uuid {
    Uuid::from_u128(0x1a57_0000_0000_4000_8000_0000_0000_0000 | kind << 16 | index as u128)
}
