//! Findings: what needs an operator. They are reported, and seen again.

pub(in crate::store) mod settle;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::KeyDigest;
use crate::store::reconcile::finding_kinds::FindingKind;
use crate::store::{Store, column};

/// Notes findings, or that they are seen again. A dismissed finding is opened again when it grows: it is about more numbers
/// than before, or about other rows where both lists of rows are complete.
const REPORT: &str = "\
-- reconcile.findings.report
insert into phone_number_findings as f
  (kind, telnyx_account, phone_number, telnyx_phone_number_id, telnyx_reference, agency_id, agency_phone_number_ids, number_count,
   detail, key_sha256)
select distinct on (o.kind, o.account, o.number)
       o.kind, o.account, o.number, o.phone_number_id, o.reference, o.agency_id, o.row_ids, o.number_count, o.detail,
       o.key_sha256
from jsonb_to_recordset($1::jsonb /* observations */) as o
  (kind text, account text, number text, phone_number_id text, reference text, agency_id uuid, row_ids uuid[], number_count bigint,
   detail text, key_sha256 bytea)
order by o.kind, o.account, o.number
on conflict (telnyx_account, kind, coalesce(phone_number, '')) where state in ('open', 'dismissed') do update
set (telnyx_phone_number_id, telnyx_reference, agency_id, detail, key_sha256, last_seen_at, agency_phone_number_ids, number_count, state,
     first_seen_at, resolved_at, resolved_by) = (
  select excluded.telnyx_phone_number_id,
         excluded.telnyx_reference,
         excluded.agency_id,
         excluded.detail,
         excluded.key_sha256,
         excluded.last_seen_at,
         case when g.is_current then excluded.agency_phone_number_ids else f.agency_phone_number_ids end,
         case when g.is_current then excluded.number_count else f.number_count end,
         case when g.is_current then 'open' else f.state end,
         case when g.is_current and f.state = 'dismissed' then excluded.first_seen_at else f.first_seen_at end,
         case when not g.is_current then f.resolved_at end,
         case when not g.is_current then f.resolved_by end
  from (values (
    f.state = 'open'
    or excluded.number_count > f.number_count
    or (
      cardinality(f.agency_phone_number_ids) >= f.number_count
      and cardinality(excluded.agency_phone_number_ids) >= excluded.number_count
      and not excluded.agency_phone_number_ids <@ f.agency_phone_number_ids
    )
  )) as g (is_current)
)
returning f.first_seen_at = f.last_seen_at as is_new";

/// Which of these numbers of an account have a finding that is open or dismissed, by number and kind.
const KNOWN: &str = "\
-- reconcile.findings.known
select f.phone_number, f.kind
from unnest($2::text[] /* phone_numbers */) as i (phone_number)
join phone_number_findings f
  on f.telnyx_account = $1 /* telnyx_account */
  and f.phone_number = i.phone_number
  and f.state in ('open', 'dismissed')";

const COUNT: &str = "\
-- reconcile.findings.count
select f.kind, count(*) as open
from phone_number_findings f
where f.state = 'open'
group by f.kind";

const OPEN: &str = "\
-- reconcile.findings.open
select f.id, f.kind, f.telnyx_account, f.phone_number, f.telnyx_phone_number_id, f.telnyx_reference, f.agency_id,
       f.agency_phone_number_ids, f.number_count, f.detail, f.key_sha256, f.first_seen_at, f.last_seen_at
from phone_number_findings f
where f.state = 'open'
order by f.first_seen_at, f.id";

pub(in crate::store) const STATEMENTS: &[&str] = &[REPORT, KNOWN, COUNT, OPEN];

/// What is found, by a comparison with Telnyx or by a saga.
#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// What is the matter.
    pub kind: FindingKind,
    /// The account at Telnyx.
    pub account: String,
    /// The number, in E.164; None if the finding is about a whole account.
    pub number: Option<String>,
    /// Telnyx's id of the number; None where Telnyx does not have it.
    pub phone_number_id: Option<String>,
    /// The number's `customer_reference`.
    pub reference: Option<String>,
    /// The agency whose number it is or was, as far as that is known.
    pub agency_id: Option<Uuid>,
    /// The rows concerned, or the first of them where `number_count` is larger.
    pub row_ids: Vec<Uuid>,
    /// How many numbers the finding is about.
    pub number_count: i64,
    /// What an operator has to know, in a sentence.
    pub detail: String,
    /// The SHA-256 of the API key that it was found with.
    #[serde(rename = "key_sha256", serialize_with = "as_bytea")]
    pub key_digest: Option<KeyDigest>,
}

/// As Postgres reads `bytea` from text.
#[allow(clippy::ref_option, reason = "what serde calls")]
fn as_bytea<S: Serializer>(digest: &Option<KeyDigest>, serializer: S) -> Result<S::Ok, S::Error> {
    digest.map(|digest| format!("\\x{digest}")).serialize(serializer)
}

impl Observation {
    /// An observation about one number or one account, with the kind's own sentence and nothing else known.
    #[must_use]
    pub fn new(kind: FindingKind, account: &str) -> Self {
        Self {
            kind,
            account: account.to_owned(),
            number: None,
            phone_number_id: None,
            reference: None,
            agency_id: None,
            row_ids: Vec::new(),
            number_count: 1,
            detail: kind.detail().to_owned(),
            key_digest: None,
        }
    }
}

/// An open finding.
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
#[derive(Clone, Debug, Default)]
pub struct OpenFindings {
    /// Of all kinds, those that a newer version has reported included.
    pub all: i64,
    /// Of each kind of which any is open.
    pub by_kind: Vec<(FindingKind, i64)>,
}

impl OpenFindings {
    /// How many of a kind are open.
    #[must_use]
    pub fn of(&self, kind: FindingKind) -> i64 {
        self.by_kind.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count)
    }
}

impl Store {
    /// Notes findings, or that they are seen again, all or none: how many are new.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails, because one of the findings is locked say.
    pub async fn report(&self, observations: &[Observation]) -> Result<usize, Error> {
        if observations.is_empty() {
            return Ok(0);
        }
        let observations = serde_json::to_value(observations).map_err(|error| Error::Internal(Box::new(error)))?;
        let rows = self.rows(REPORT, &[&observations]).await?;
        let new = rows.iter().map(|row| column::<bool>(row, "is_new")).collect::<Result<Vec<_>, _>>()?;
        Ok(new.into_iter().filter(|is_new| *is_new).count())
    }

    /// Which of these numbers of an account have an open or dismissed finding: pairs of number and kind.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn known_findings(&self, account: &str, numbers: &[&str]) -> Result<Vec<(String, String)>, Error> {
        let rows = self.rows(KNOWN, &[&account, &numbers]).await?;
        rows.iter().map(|row| Ok((column(row, "phone_number")?, column(row, "kind")?))).collect()
    }

    /// How many findings are open.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn open_findings_count(&self) -> Result<OpenFindings, Error> {
        let mut counts = OpenFindings::default();
        for row in self.rows(COUNT, &[]).await? {
            let open: i64 = column(&row, "open")?;
            counts.all += open;
            if let Ok(kind) = column::<&str>(&row, "kind")?.parse() {
                counts.by_kind.push((kind, open));
            }
        }
        Ok(counts)
    }

    /// The open findings, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn open_findings(&self) -> Result<Vec<Finding>, Error> {
        self.rows(OPEN, &[]).await?.iter().map(finding).collect()
    }
}

pub(in crate::store) fn finding(row: &Row) -> Result<Finding, Error> {
    Ok(Finding {
        id: column(row, "id")?,
        observation: Observation {
            kind: column(row, "kind")?,
            account: column(row, "telnyx_account")?,
            number: column(row, "phone_number")?,
            phone_number_id: column(row, "telnyx_phone_number_id")?,
            reference: column(row, "telnyx_reference")?,
            agency_id: column(row, "agency_id")?,
            row_ids: column(row, "agency_phone_number_ids")?,
            number_count: column(row, "number_count")?,
            detail: column(row, "detail")?,
            key_digest: column(row, "key_sha256")?,
        },
        first_seen_at: column(row, "first_seen_at")?,
        last_seen_at: column(row, "last_seen_at")?,
    })
}
