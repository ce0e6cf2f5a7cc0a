//! What a comparison with Telnyx leaves to a person, and what that person decides.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use serde::{Serialize, Serializer};
use tokio_postgres::Row;
use uuid::Uuid;

use super::adoption::{Adoptee, adopt};
use super::inventory::sign;
use super::{Store, Undone, column, digest, rows_of, word};
use crate::error::Error;
use crate::model::Reference;

/// Notes findings, or that they are seen again. One that was dismissed stays so, unless it is about other rows by now: whoever
/// dismissed it knew nothing of those.
const REPORT: &str = "\
-- findings.report
insert into phone_number_findings as f
  (kind, telnyx_account, phone_number, telnyx_phone_number_id, telnyx_reference, agency_id, agency_phone_number_ids, detail,
   key_sha256)
select distinct on (o.kind, o.account, o.number)
       o.kind, o.account, o.number, o.phone_number_id, o.reference, o.agency_id, o.row_ids, o.detail, o.key_sha256
from jsonb_to_recordset($1::jsonb /* observations */) as o
  (kind text, account text, number text, phone_number_id text, reference text, agency_id uuid, row_ids uuid[], detail text,
   key_sha256 bytea)
on conflict (telnyx_account, kind, coalesce(phone_number, '')) where state in ('open', 'dismissed') do update
set telnyx_phone_number_id = excluded.telnyx_phone_number_id,
    telnyx_reference = excluded.telnyx_reference,
    agency_id = excluded.agency_id,
    agency_phone_number_ids = case
      when f.state = 'open' or not excluded.agency_phone_number_ids <@ f.agency_phone_number_ids then excluded.agency_phone_number_ids
      else f.agency_phone_number_ids
    end,
    detail = excluded.detail,
    key_sha256 = excluded.key_sha256,
    state = case when excluded.agency_phone_number_ids <@ f.agency_phone_number_ids then f.state else 'open' end,
    first_seen_at = case
      when f.state = 'open' or excluded.agency_phone_number_ids <@ f.agency_phone_number_ids then f.first_seen_at
      else excluded.first_seen_at
    end,
    last_seen_at = excluded.last_seen_at,
    resolved_at = case when excluded.agency_phone_number_ids <@ f.agency_phone_number_ids then f.resolved_at end,
    resolved_by = case when excluded.agency_phone_number_ids <@ f.agency_phone_number_ids then f.resolved_by end
returning f.first_seen_at = f.last_seen_at as is_new";

/// Ends the findings of an account that a whole walk, begun at that time, has not seen again. A walk knows nothing of rows
/// from before the ledger.
const CLOSE: &str = "\
-- findings.close
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
where f.telnyx_account = $1 /* telnyx_account */
  and f.last_seen_at < $2 /* before */
  and f.state = 'open'
  and (f.kind <> 'inventory_drift' or f.phone_number is null)
returning f.id";

/// Ends what was found of rows from before the ledger that are in it by now, or live no more.
const CLOSE_LEFTOVERS: &str = "\
-- findings.close_leftovers
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
where f.state = 'open'
  and f.kind = 'inventory_drift'
  and f.phone_number is not null
  and not exists (
    select
    from agency_phone_numbers n
    where n.id = any(f.agency_phone_number_ids)
      and n.status = 'active'
      and n.is_active
      and not exists (
        select
        from phone_number_purchases p
        where p.agency_phone_number_id = n.id
      )
  )
returning f.id";

const COUNT: &str = "\
-- findings.count
select count(*) as open,
       count(*) filter (where f.kind = 'inventory_drift') as drift
from phone_number_findings f
where f.state = 'open'";

const OPEN: &str = "\
-- findings.open
select f.id, f.kind, f.telnyx_account, f.phone_number, f.telnyx_phone_number_id, f.telnyx_reference, f.agency_id,
       f.agency_phone_number_ids, f.detail, f.key_sha256, f.first_seen_at, f.last_seen_at
from phone_number_findings f
where f.state = 'open'
order by f.first_seen_at, f.id";

/// One that is open, kept from others who would decide it.
const DECIDE: &str = "\
-- findings.decide
select f.id, f.kind, f.telnyx_account, f.phone_number, f.telnyx_phone_number_id, f.telnyx_reference, f.agency_id,
       f.agency_phone_number_ids, f.detail, f.key_sha256, f.first_seen_at, f.last_seen_at
from phone_number_findings f
where f.id = $1 /* id */
  and f.state = 'open'
for update";

/// Ends a finding, and has the history tell.
const RESOLVE: &str = "\
-- findings.resolve
with resolved as (
  update phone_number_findings f
  set state = $2 /* state */,
      resolved_at = now(),
      resolved_by = $3 /* resolved_by */
  where f.id = $1 /* id */
    and f.state = 'open'
  returning f.id, f.phone_number, f.kind
)
insert into phone_number_history (phone_number, event, actor, changes)
select r.phone_number,
       'reconciled',
       $3,
       jsonb_build_object('finding', jsonb_build_object('id', r.id, 'kind', r.kind, 'from', 'open', 'to', $2::text))
from resolved r
returning id";

const AGENCY: &str = "\
-- findings.agency
select a.id
from agencies a
where a.id = $1 /* agency_id */";

/// Switches off what a drift says is not at Telnyx.
const ACCEPT_DRIFT: &str = "\
-- findings.accept_drift
update agency_phone_numbers n
set status = 'inactive'
where n.id = any($1::uuid[] /* row_ids */)
  and n.status = 'active'
  and n.is_active
returning n.id";

pub(super) const STATEMENTS: &[&str] = &[REPORT, CLOSE, CLOSE_LEFTOVERS, COUNT, OPEN, DECIDE, RESOLVE, AGENCY, ACCEPT_DRIFT];

/// A person of ours, in the history.
const OPERATOR: &str = "operator";

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// A number in the account without a reference of ours.
    NotOurs,
    /// A number of ours whose agency is no more.
    AgencyGone,
    /// A number of ours whose row is another's, who has no such number.
    HeldByAnother,
    /// A number that its row says was given back.
    ReleasedButBilled,
    /// Rows without a number at Telnyx: more than can be believed, or in an account that is not known again.
    InventoryDrift,
    /// An API key that answers for nothing of what the ledger has in its account.
    KeyUnproven,
    /// A number that Telnyx does not delete.
    ReleaseRefused,
    /// A purchase whose order the account does not know any more.
    OrderMissing,
    /// A purchase whose order has succeeded, and whose number is not in the account.
    NumberMissing,
    /// A number that another account has than the one it was bought in.
    NumberMoved,
    /// Two names of accounts that have the same numbers.
    SameAccount,
}

impl FindingKind {
    /// The word for it in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::AgencyGone => "agency_gone",
            Self::HeldByAnother => "held_by_another",
            Self::ReleasedButBilled => "released_but_billed",
            Self::InventoryDrift => "inventory_drift",
            Self::KeyUnproven => "key_unproven",
            Self::ReleaseRefused => "release_refused",
            Self::OrderMissing => "order_missing",
            Self::NumberMissing => "number_missing",
            Self::NumberMoved => "number_moved",
            Self::SameAccount => "same_account",
        }
    }
}

impl FromStr for FindingKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [
            Self::NotOurs,
            Self::AgencyGone,
            Self::HeldByAnother,
            Self::ReleasedButBilled,
            Self::InventoryDrift,
            Self::KeyUnproven,
            Self::ReleaseRefused,
            Self::OrderMissing,
            Self::NumberMissing,
            Self::NumberMoved,
            Self::SameAccount,
        ];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or("must be a kind of finding")
    }
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What is found.
#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// What is the matter.
    pub kind: FindingKind,
    /// The account at Telnyx.
    pub account: String,
    /// The number, in E.164; None for a drift of a whole account.
    pub number: Option<String>,
    /// Telnyx's id of it; None where Telnyx does not have it.
    pub phone_number_id: Option<String>,
    /// Its `customer_reference`.
    pub reference: Option<String>,
    /// The agency whose it is or was, as far as that is known.
    pub agency_id: Option<Uuid>,
    /// The rows concerned.
    pub row_ids: Vec<Uuid>,
    /// The same for people, in a sentence.
    pub detail: String,
    /// The SHA-256 of the API key that is in doubt.
    #[serde(rename = "key_sha256", serialize_with = "as_bytea")]
    pub key_digest: Option<[u8; 32]>,
}

/// As Postgres reads `bytea` from text.
#[allow(clippy::ref_option, reason = "what serde calls")]
fn as_bytea<S: Serializer>(digest: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
    let hex = |digest: &[u8; 32]| digest.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    digest.as_ref().map(hex).serialize(serializer)
}

/// A finding that nobody has decided yet.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its id.
    pub id: Uuid,
    /// What was found.
    pub observation: Observation,
    /// When it was seen first.
    pub first_seen_at: DateTime<Utc>,
    /// When it was seen last.
    pub last_seen_at: DateTime<Utc>,
}

/// How many findings are open.
#[derive(Clone, Copy, Debug)]
pub struct OpenFindings {
    /// Of all kinds.
    pub all: i64,
    /// Of kind `inventory_drift`.
    pub drift: i64,
}

/// What came of adopting what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// The number is the agency's, under this row.
    Adopted(Uuid),
    /// So many rows are inactive.
    Deactivated(usize),
    /// There is no open finding with this id.
    NoSuchFinding,
    /// It does not say whose the number is, or there is no such agency: name one.
    AgencyNeeded,
    /// A live row has the number.
    Held,
}

impl Store {
    /// Notes findings, or that they are seen again: how many are new.
    ///
    /// # Errors
    /// The database's own.
    pub async fn report(&self, observations: &[Observation]) -> Result<usize, Error> {
        if observations.is_empty() {
            return Ok(0);
        }
        let observations = serde_json::to_value(observations).map_err(|error| Error::Internal(Box::new(error)))?;
        let rows = self.rows(REPORT, &[&observations]).await?;
        let new = rows.iter().map(|row| column::<bool>(row, "is_new")).collect::<Result<Vec<_>, _>>()?;
        Ok(new.into_iter().filter(|is_new| *is_new).count())
    }

    /// Ends the findings of an account that a walk begun at `before` has not seen again; how many.
    ///
    /// # Errors
    /// The database's own.
    pub async fn close_findings(&self, account: &str, before: DateTime<Utc>) -> Result<usize, Error> {
        Ok(self.rows(CLOSE, &[&account, &before]).await?.len())
    }

    /// Ends the findings about rows from before the ledger that are settled by now; how many.
    ///
    /// # Errors
    /// The database's own.
    pub async fn close_leftover_findings(&self) -> Result<usize, Error> {
        Ok(self.rows(CLOSE_LEFTOVERS, &[]).await?.len())
    }

    /// How many findings are open.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open_findings_count(&self) -> Result<OpenFindings, Error> {
        let row = self.row(COUNT, &[]).await?.ok_or_else(|| Error::Internal("findings.count told nothing".into()))?;
        Ok(OpenFindings { all: column(&row, "open")?, drift: column(&row, "drift")? })
    }

    /// The findings that nobody has decided yet, oldest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn open_findings(&self) -> Result<Vec<Finding>, Error> {
        self.rows(OPEN, &[]).await?.iter().map(finding).collect()
    }

    /// Does what a finding suggests: a number becomes `agency_id`'s, or that of the agency it was bought for; the rows of a
    /// drift are switched off. Telnyx is not asked for anything.
    ///
    /// # Errors
    /// The database's own.
    pub async fn adopt_finding(&self, id: Uuid, agency_id: Option<Uuid>) -> Result<Adoption, Error> {
        self.transaction(|| self.try_to_adopt_finding(id, agency_id)).await
    }

    async fn try_to_adopt_finding(&self, id: Uuid, agency_id: Option<Uuid>) -> Result<Adoption, Undone> {
        let mut client = self.connections.get().await?;
        let transaction = client.transaction().await?;
        let Some(row) = rows_of(&transaction, DECIDE, &[&id]).await?.into_iter().next() else { return Ok(Adoption::NoSuchFinding) };
        sign(&transaction, OPERATOR).await?;
        let adoption = decide(&transaction, &finding(&row)?.observation, agency_id).await?;
        if matches!(adoption, Adoption::Adopted(_) | Adoption::Deactivated(_)) {
            rows_of(&transaction, RESOLVE, &[&id, &"adopted", &OPERATOR]).await?;
            transaction.commit().await?;
        }
        Ok(adoption)
    }

    /// Leaves what was found as it is; false when there is no such open finding.
    ///
    /// # Errors
    /// The database's own.
    pub async fn dismiss_finding(&self, id: Uuid) -> Result<bool, Error> {
        self.fenced(RESOLVE, &[&id, &"dismissed", &OPERATOR]).await
    }
}

/// Does what is suggested, within a transaction that is kept only where it was done.
async fn decide(transaction: &Transaction<'_>, observation: &Observation, agency_id: Option<Uuid>) -> Result<Adoption, Undone> {
    if observation.kind == FindingKind::InventoryDrift {
        let deactivated = rows_of(transaction, ACCEPT_DRIFT, &[&observation.row_ids]).await?;
        return Ok(Adoption::Deactivated(deactivated.len()));
    }
    let agency_id = agency_id.or(observation.agency_id);
    let agency = rows_of(transaction, AGENCY, &[&agency_id]).await?;
    let (Some(agency_id), false, Some(number), Some(phone_number_id)) =
        (agency_id, agency.is_empty(), &observation.number, &observation.phone_number_id)
    else {
        return Ok(Adoption::AgencyNeeded);
    };
    let known = observation.reference.as_deref().and_then(|reference| Some((reference, reference.parse::<Reference>().ok()?.purchase_id)));
    // A number of somebody else's keeps its reference at Telnyx, which is no purchase of ours even where it reads like one.
    let known = known.filter(|_| observation.kind != FindingKind::NotOurs);
    let purchase_id = known.map_or_else(Uuid::new_v4, |(_, id)| id);
    let reference = known.map_or_else(|| format!("adopted:{purchase_id}"), |(reference, _)| reference.to_owned());
    let adoptee = Adoptee {
        agency_id,
        number,
        phone_number_id,
        number_type: None,
        country_code: None,
        purchase_id,
        account: &observation.account,
        reference: &reference,
        order_id: None,
    };
    let instead_of = if observation.kind == FindingKind::HeldByAnother { observation.row_ids.as_slice() } else { &[] };
    Ok(adopt(transaction, &adoptee, instead_of).await?.map_or(Adoption::Held, Adoption::Adopted))
}

fn finding(row: &Row) -> Result<Finding, Error> {
    Ok(Finding {
        id: column(row, "id")?,
        observation: Observation {
            kind: word(row, "kind")?,
            account: column(row, "telnyx_account")?,
            number: column(row, "phone_number")?,
            phone_number_id: column(row, "telnyx_phone_number_id")?,
            reference: column(row, "telnyx_reference")?,
            agency_id: column(row, "agency_id")?,
            row_ids: column(row, "agency_phone_number_ids")?,
            detail: column(row, "detail")?,
            key_digest: digest(row, "key_sha256")?,
        },
        first_seen_at: column(row, "first_seen_at")?,
        last_seen_at: column(row, "last_seen_at")?,
    })
}
