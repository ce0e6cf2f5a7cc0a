//! Whether the database can be used with the rights that a function needs.

use std::fmt::Write as _;

use crate::error::Error;
use crate::store::{Store, column};

/// What a function does in the database, as the roles of `sql/V10__roles.sql` divide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Search and list.
    Read,
    /// Assign.
    Assign,
    /// Purchase, release and reconcile.
    Spend,
}

impl Access {
    /// Rights by table, each of which the functions with this access need, and at least one of which the other roles lack.
    const fn rights(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Read => &[
                ("users", "select"),
                ("agent_mappings", "select"),
                ("agency_phone_numbers", "select"),
                ("phone_number_counts", "select"),
                ("phone_number_purchases", "select"),
                ("phone_number_search_rates", "update"),
            ],
            Self::Assign => &[
                ("users", "select"),
                ("agent_mappings", "select"),
                ("agency_phone_numbers", "select"),
                ("agency_phone_numbers", "update"),
                ("phone_number_history", "select"),
            ],
            Self::Spend => &[
                ("users", "select"),
                ("agencies", "select"),
                ("phone_number_counts", "select"),
                ("phone_number_deployment", "select"),
                ("agency_phone_numbers", "insert"),
                ("phone_number_purchases", "insert"),
                ("phone_number_releases", "insert"),
                ("phone_number_findings", "insert"),
            ],
        }
    }
}

/// A right to one column counts: the roles have rights to some columns only.
const MISSING_RIGHTS: &str = "\
-- check.missing_rights
select format('%s on %s', n.privilege, n.relation) as missing
from unnest($1::text[] /* relations */, $2::text[] /* privileges */) as n (relation, privilege)
where not case
    when to_regclass(n.relation) is null then false
    else has_any_column_privilege(n.relation, n.privilege)
  end
order by 1";

pub(super) const STATEMENTS: &[&str] = &[MISSING_RIGHTS];

impl Store {
    /// Checks that the database answers, and that its login has the rights to do what `access` names.
    ///
    /// # Errors
    /// `Unavailable` with the rights that are missing, or if the database does not answer.
    pub async fn check(&self, access: Access) -> Result<(), Error> {
        let (relations, privileges): (Vec<_>, Vec<_>) = access.rights().iter().copied().unzip();
        let rows = self.rows(MISSING_RIGHTS, &[&relations, &privileges]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut reason = "the database login lacks rights:".to_owned();
        for row in &rows {
            _ = write!(reason, " {};", column::<&str>(row, "missing")?);
        }
        Err(Error::Unavailable(reason.trim_end_matches(';').into()))
    }
}
