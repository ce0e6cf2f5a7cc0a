//! The logins with which the functions connect to a database: members of the roles in `sql/V10__roles.sql`.

use anyhow::{Result, bail};
use phone_numbers_migrate::migrations::describe;
use reqwest::Url;
use uuid::Uuid;

use super::connection::{connect, normalise};
use super::server::quoted;

/// What a function may do in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Search and list.
    Read,
    /// Assign.
    Assign,
    /// Purchase, release and reconcile.
    Spend,
}

/// Where row-level security is switched on, the roles see no row without a policy. Where it is off, a policy does nothing.
const POLICIES: &str = "\
do $policies$
declare
  protected regclass;
begin
  for protected in
    select c.oid
    from pg_class as c
    where c.oid in (to_regclass('users'), to_regclass('agencies'), to_regclass('agent_mappings'), to_regclass('agency_phone_numbers'))
      and c.relrowsecurity
      and not exists (select from pg_policy as p where p.polrelid = c.oid and p.polname = 'phone_numbers_functions')
  loop
    execute format(
      'create policy phone_numbers_functions on %s
       to phone_numbers_read, phone_numbers_assign, phone_numbers_spend using (true) with check (true)',
      protected
    );
  end loop;
end
$policies$";

/// Gives the logins limits of time: `sql/V12__poolers.sql`.
const LIMITS: &str = "select phone_numbers_limit_roles()";

impl Login {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Assign, Self::Spend];

    /// The role that it is a member of.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Read => "phone_numbers_read",
            Self::Assign => "phone_numbers_assign",
            Self::Spend => "phone_numbers_spend",
        }
    }

    /// Its own name.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}_login", self.role())
    }

    /// That of a function; none for migrate, which connects as the owner.
    ///
    /// # Errors
    /// There is no such function.
    pub fn of(function: &str) -> Result<Option<Self>> {
        Ok(match function {
            "phone-numbers-search" | "phone-numbers-list" => Some(Self::Read),
            "phone-numbers-assign" => Some(Self::Assign),
            "phone-numbers-purchase" | "phone-numbers-release" | "phone-numbers-reconcile" => Some(Self::Spend),
            "phone-numbers-migrate" => None,
            unknown => bail!("{unknown} has no login to the database"),
        })
    }

    /// The URL of a database with this login, which has the password of the URL's user: see [`ensure`].
    ///
    /// # Errors
    /// The URL is malformed.
    pub fn url(self, database_url: &str) -> Result<String> {
        self.with_password(&normalise(database_url)?, None)
    }

    fn with_password(self, database_url: &Url, password: Option<&str>) -> Result<String> {
        let mut url = database_url.clone();
        let mut changed = url.set_username(&self.name());
        if let Some(password) = password {
            changed = changed.and_then(|()| url.set_password(Some(password)));
        }
        match changed {
            Ok(()) => Ok(url.into()),
            Err(()) => bail!("a database URL looks like postgres://user:password@host:5432/database"),
        }
    }
}

/// Makes the logins that a server lacks, for use on this machine: their password is that of the URL's user. Several processes may
/// do so at once.
///
/// # Errors
/// The database cannot be reached or is not migrated, or refuses.
pub async fn ensure(database_url: &str) -> Result<()> {
    let url = normalise(database_url)?;
    let password = percent_encoding::percent_decode_str(url.password().unwrap_or_default()).decode_utf8()?.into_owned();
    let client = connect(database_url).await?;
    for login in Login::ALL {
        let create = format!(
            "do $login$
             begin
               create role {} login password {} in role {};
             exception when duplicate_object or unique_violation then
               null;
             end
             $login$",
            quoted(&login.name()),
            literal(&password),
            login.role()
        );
        client.batch_execute(&create).await.map_err(|error| describe(&error))?;
    }
    client.batch_execute(LIMITS).await.map_err(|error| describe(&error))?;
    client.batch_execute(POLICIES).await.map_err(|error| describe(&error))
}

/// Makes the logins, or gives those that exist a new password, and returns the URL of each.
///
/// # Errors
/// The database cannot be reached or is not migrated, or refuses.
pub async fn renew(database_url: &str) -> Result<Vec<(Login, String)>> {
    let (client, url) = (connect(database_url).await?, normalise(database_url)?);
    let mut urls = Vec::new();
    for login in Login::ALL {
        let (name, password) = (login.name(), format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
        let exists = client.query_opt("select from pg_roles where rolname = $1", &[&name]).await.map_err(|error| describe(&error))?;
        let (name, secret) = (quoted(&name), literal(&password));
        let statement = match exists {
            Some(_) => format!("alter role {name} login password {secret}; grant {} to {name}", login.role()),
            None => format!("create role {name} login password {secret} in role {}", login.role()),
        };
        client.batch_execute(&statement).await.map_err(|error| describe(&error))?;
        urls.push((login, login.with_password(&url, Some(&password))?));
    }
    client.batch_execute(LIMITS).await.map_err(|error| describe(&error))?;
    client.batch_execute(POLICIES).await.map_err(|error| describe(&error))?;
    Ok(urls)
}

/// A text, quoted for SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
