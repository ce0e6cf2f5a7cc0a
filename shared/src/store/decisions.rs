//! What an operator decides about a finding: do as it suggests, or leave it.

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::adoption::{Adoptee, adopt};
use super::finding_kind::FindingKind;
use super::findings::{Finding, finding};
use super::inventory::sign;
use super::{Store, Undone, column, rows_of};
use crate::error::Error;
use crate::model::{E164, Reference};

/// One that is open, kept from others who would decide it.
const DECIDE: &str = "\
-- decisions.decide
select f.id, f.kind, f.telnyx_account, f.phone_number, f.telnyx_phone_number_id, f.telnyx_reference, f.agency_id,
       f.agency_phone_number_ids, f.number_count, f.detail, f.first_seen_at, f.last_seen_at
from phone_number_findings f
where f.id = $1 /* id */
  and f.state = 'open'
for update";

/// Ends a finding, and has the history tell.
const RESOLVE: &str = "\
-- decisions.resolve
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

/// Takes one number out of a finding about many, and has the history tell. The finding ends with its last number.
const TAKE: &str = "\
-- decisions.take
with taken as (
  delete from phone_number_strangers s
  where s.telnyx_account = $2 /* telnyx_account */
    and s.phone_number = $3 /* phone_number */
  returning s.phone_number
), counted as (
  update phone_number_findings f
  set number_count = greatest(f.number_count - 1, 0),
      state = case when f.number_count > 1 then f.state else 'adopted' end,
      resolved_at = case when f.number_count > 1 then f.resolved_at else now() end,
      resolved_by = case when f.number_count > 1 then f.resolved_by else $4::text /* resolved_by */ end
  from taken t
  where f.id = $1 /* id */
  returning f.id, t.phone_number, f.kind
)
insert into phone_number_history (phone_number, event, actor, changes)
select c.phone_number,
       'reconciled',
       $4,
       jsonb_build_object('finding', jsonb_build_object('id', c.id, 'kind', c.kind, 'from', 'open', 'to', 'adopted'))
from counted c
returning id";

/// A number of an account that no purchase of ours names, kept from others who would take it.
const STRANGER: &str = "\
-- decisions.stranger
select s.telnyx_phone_number_id
from phone_number_strangers s
where s.telnyx_account = $1 /* telnyx_account */
  and s.phone_number = $2 /* phone_number */
for update";

const AGENCY: &str = "\
-- decisions.agency
select a.id
from agencies a
where a.id = $1 /* agency_id */";

/// Switches off what a drift says is not at Telnyx.
const ACCEPT_DRIFT: &str = "\
-- decisions.accept_drift
update agency_phone_numbers n
set status = 'inactive'
where n.id = any($1::uuid[] /* row_ids */)
  and n.status = 'active'
  and n.is_active
returning n.id";

pub(super) const STATEMENTS: &[&str] = &[DECIDE, RESOLVE, TAKE, STRANGER, AGENCY, ACCEPT_DRIFT];

/// A person of ours, in the history.
const OPERATOR: &str = "operator";

/// What came of adopting what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// The number is the agency's, under this row.
    Adopted(Uuid),
    /// So many rows are inactive.
    Deactivated(usize),
    /// There is no open finding with this id.
    NoSuchFinding,
    /// The finding is about many numbers: name one.
    NumberNeeded,
    /// The finding is not about this number.
    NoSuchNumber,
    /// It does not say whose the number is, or there is no such agency: name one.
    AgencyNeeded,
    /// A live row has the number.
    Held,
}

/// What an operator wants to become of a finding.
#[derive(Clone, Copy, Debug)]
struct Decision<'a> {
    number: Option<&'a E164>,
    agency_id: Option<Uuid>,
}

impl Store {
    /// Does what a finding suggests: a number becomes `agency_id`'s, or that of the agency it was bought for; the rows of a
    /// drift are switched off. Of a finding about many numbers `number` names the one to adopt, and the finding stays open
    /// with the others. Telnyx is not asked for anything.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the transaction fails.
    pub async fn adopt_finding(&self, id: Uuid, number: Option<&E164>, agency_id: Option<Uuid>) -> Result<Adoption, Error> {
        self.transaction(|| self.try_to_adopt_finding(id, Decision { number, agency_id })).await
    }

    async fn try_to_adopt_finding(&self, id: Uuid, decision: Decision<'_>) -> Result<Adoption, Undone> {
        let mut client = self.connections.get().await?;
        let transaction = client.transaction().await?;
        let Some(row) = rows_of(&transaction, DECIDE, &[&id]).await?.into_iter().next() else { return Ok(Adoption::NoSuchFinding) };
        sign(&transaction, OPERATOR).await?;
        let adoption = decide(&transaction, &finding(&row)?, decision).await?;
        if matches!(adoption, Adoption::Adopted(_) | Adoption::Deactivated(_)) {
            transaction.commit().await?;
        }
        Ok(adoption)
    }

    /// Leaves what was found as it is; false if there is no such open finding.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn dismiss_finding(&self, id: Uuid) -> Result<bool, Error> {
        self.fenced(RESOLVE, &[&id, &"dismissed", &OPERATOR]).await
    }
}

/// Does what is suggested, within a transaction that is kept only where it was done.
async fn decide(transaction: &Transaction<'_>, finding: &Finding, decision: Decision<'_>) -> Result<Adoption, Undone> {
    let observation = &finding.observation;
    let other = |number: &E164| observation.number.as_deref() != Some(number.as_str());
    match observation.kind {
        FindingKind::NotOurs if observation.number.is_none() => return adopt_stranger(transaction, finding, decision).await,
        _ if decision.number.is_some_and(other) => return Ok(Adoption::NoSuchNumber),
        FindingKind::InventoryDrift => {
            let deactivated = rows_of(transaction, ACCEPT_DRIFT, &[&observation.row_ids]).await?;
            rows_of(transaction, RESOLVE, &[&finding.id, &"adopted", &OPERATOR]).await?;
            return Ok(Adoption::Deactivated(deactivated.len()));
        }
        _ => {}
    }
    let Some(agency_id) = agency(transaction, decision.agency_id.or(observation.agency_id)).await? else {
        return Ok(Adoption::AgencyNeeded);
    };
    let (Some(number), Some(phone_number_id)) = (&observation.number, &observation.phone_number_id) else {
        return Ok(Adoption::NoSuchNumber);
    };
    let known = observation.reference.as_deref().and_then(|reference| Some((reference, reference.parse::<Reference>().ok()?.purchase_id)));
    // A reference that proves nothing stays the reference of the purchase that has it.
    let known = known.filter(|_| observation.kind != FindingKind::UnprovenClaim);
    let purchase_id = known.map_or_else(Uuid::new_v4, |(_, id)| id);
    let reference = known.map_or_else(|| own_reference(purchase_id), |(reference, _)| reference.to_owned());
    let adoptee = adoptee(agency_id, number, phone_number_id, &observation.account, (purchase_id, &reference));
    let instead_of = if observation.kind == FindingKind::HeldByAnother { observation.row_ids.as_slice() } else { &[] };
    let Some(row_id) = adopt(transaction, &adoptee, instead_of).await? else { return Ok(Adoption::Held) };
    rows_of(transaction, RESOLVE, &[&finding.id, &"adopted", &OPERATOR]).await?;
    Ok(Adoption::Adopted(row_id))
}

/// Adopts one of the numbers of an account that no purchase of ours names.
async fn adopt_stranger(transaction: &Transaction<'_>, finding: &Finding, decision: Decision<'_>) -> Result<Adoption, Undone> {
    let account = finding.observation.account.as_str();
    let Some(number) = decision.number.map(E164::as_str) else { return Ok(Adoption::NumberNeeded) };
    let strangers = rows_of(transaction, STRANGER, &[&account, &number]).await?;
    let Some(stranger) = strangers.first() else { return Ok(Adoption::NoSuchNumber) };
    let Some(agency_id) = agency(transaction, decision.agency_id).await? else { return Ok(Adoption::AgencyNeeded) };
    let phone_number_id: &str = column(stranger, "telnyx_phone_number_id")?;
    let purchase_id = Uuid::new_v4();
    let reference = own_reference(purchase_id);
    let adoptee = adoptee(agency_id, number, phone_number_id, account, (purchase_id, &reference));
    let Some(row_id) = adopt(transaction, &adoptee, &[]).await? else { return Ok(Adoption::Held) };
    rows_of(transaction, TAKE, &[&finding.id, &account, &number, &OPERATOR]).await?;
    Ok(Adoption::Adopted(row_id))
}

/// The agency, if there is one.
async fn agency(transaction: &Transaction<'_>, agency_id: Option<Uuid>) -> Result<Option<Uuid>, Undone> {
    let found = rows_of(transaction, AGENCY, &[&agency_id]).await?;
    Ok(agency_id.filter(|_| !found.is_empty()))
}

/// The reference of a purchase that is none at Telnyx.
fn own_reference(purchase_id: Uuid) -> String {
    format!("adopted:{purchase_id}")
}

const fn adoptee<'a>(
    agency_id: Uuid,
    number: &'a str,
    phone_number_id: &'a str,
    account: &'a str,
    (purchase_id, reference): (Uuid, &'a str),
) -> Adoptee<'a> {
    Adoptee { agency_id, number, phone_number_id, number_type: None, country_code: None, purchase_id, account, reference, order_id: None }
}
