//! The deployment that a database belongs to: who may write at Telnyx on its behalf.

use tokio_postgres::Row;

use crate::error::Error;
use crate::store::{Store, column};

/// Whether the database belongs to the deployment in a parameter, and a ledger row was written by that deployment.
macro_rules! deployed_row {
    ($row:literal, $parameter:literal) => {
        concat!(
            "exists (select from phone_number_deployment d where d.name = ",
            $parameter,
            " /* deployment */ and coalesce(",
            $row,
            ".deployment, d.name) = d.name)"
        )
    };
}

/// Whether a ledger row was written by the deployment that the database belongs to.
macro_rules! of_this_deployment {
    ($row:literal) => {
        concat!(
            "coalesce(",
            $row,
            ".deployment, (select d.name from phone_number_deployment d)) = (select d.name from phone_number_deployment d)"
        )
    };
}

/// Whether the database belongs to the deployment in a parameter, and the number of a row of `agency_phone_numbers` does: its
/// purchase was written by that deployment, or there is none and the row is not older than the database's name.
macro_rules! deployed_number {
    ($row:literal, $parameter:literal) => {
        concat!(
            "exists (
      select
      from phone_number_deployment d
      where d.name = ",
            $parameter,
            " /* deployment */
        and coalesce(
          (
            select p.deployment
            from phone_number_purchases p
            where p.agency_phone_number_id = ",
            $row,
            ".id
            order by p.created_at desc
            limit 1
          ),
          case when ",
            $row,
            ".created_at >= d.since then d.name end
        ) = d.name
    )"
        )
    };
}

/// The name of the deployment that a ledger row is written by.
macro_rules! deployment {
    () => {
        "(select d.name from phone_number_deployment d)"
    };
}

pub(super) use {deployed_number, deployed_row, deployment, of_this_deployment};

const GET: &str = "\
-- deployment.get
select d.name
from phone_number_deployment d";

pub(super) const STATEMENTS: &[&str] = &[GET];

/// The deployment that a database belongs to, as seen by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// The one that the setting `DEPLOYMENT` names.
    Ours,
    /// None yet: the migrations have not been run with a `DEPLOYMENT`.
    Unnamed,
    /// Another one: the database is a copy, or the setting is wrong.
    Another(String),
}

/// Whether the holder of a lease may change something at Telnyx now: cancel an order or delete a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clearance {
    /// It may.
    Granted,
    /// The database, or the row of the ledger, belongs to another deployment.
    WrongDeployment,
    /// The lease is lost.
    Lost,
}

/// The answer of a statement that keeps a lease and returns whether the deployment is right.
pub(super) fn clearance(row: Option<Row>) -> Result<Clearance, Error> {
    Ok(match row.map(|row| column(&row, "deployed")).transpose()? {
        None => Clearance::Lost,
        Some(true) => Clearance::Granted,
        Some(false) => Clearance::WrongDeployment,
    })
}

impl Store {
    /// The deployment that the database belongs to.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn deployment(&self) -> Result<Deployment, Error> {
        let Some(row) = self.row(GET, &[]).await? else { return Ok(Deployment::Unnamed) };
        let name: String = column(&row, "name")?;
        Ok(if self.deployment.as_ref() == Some(&name) { Deployment::Ours } else { Deployment::Another(name) })
    }

    /// Why a ledger statement refused to go on: the database belongs to another deployment, or its row does.
    pub async fn wrong_deployment(&self) -> Error {
        let ours = self.deployment.as_deref().unwrap_or("nothing, or no name");
        let reason = match self.deployment().await {
            Ok(Deployment::Ours) => format!("another deployment than {ours} wrote this row, and may alone change its number at Telnyx"),
            Ok(Deployment::Unnamed) => "the database carries no deployment: run the migrations with DEPLOYMENT set".to_owned(),
            Ok(Deployment::Another(name)) => format!("the database belongs to the deployment {name}, and DEPLOYMENT says {ours}"),
            Err(error) => return error,
        };
        Error::Unavailable(format!("nothing is written at Telnyx: {reason}").into())
    }
}
