//! The decisions of an operator about a finding: to do what it suggests, or to dismiss it.

use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, Reference};
use crate::store::agencies::AGENCY;
use crate::store::numbers::history::sign;
use crate::store::purchases::finish::GIVE_UP;
use crate::store::reconcile::adopt::{Adoptee, adopt};
use crate::store::reconcile::finding_kinds::FindingKind;
use crate::store::reconcile::findings::{Finding, Observation, finding};
use crate::store::reconcile::legacy_rows::{BACKFILL, abandoned};
use crate::store::reconcile::moves::MOVE;
use crate::store::{Store, Transaction, Undone, column};

/// One that is open, kept from others who would decide it.
const DECIDE: &str = "\
-- reconcile.decisions.lock
select f.id, f.kind, f.telnyx_account, f.phone_number, f.telnyx_phone_number_id, f.telnyx_reference, f.agency_id,
       f.agency_phone_number_ids, f.number_count, f.detail, f.key_sha256, f.first_seen_at, f.last_seen_at
from phone_number_findings f
where f.id = $1 /* id */
  and f.state = 'open'
for update";

/// The rows of a finding, locked before their ledger entries.
const ROWS: &str = "\
-- reconcile.decisions.rows
select n.id
from agency_phone_numbers n
where n.id = any($1::uuid[] /* row_ids */)
order by n.id
for update";

/// Ends a finding, and has the history tell.
const RESOLVE: &str = "\
-- reconcile.decisions.resolve
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
-- reconcile.decisions.take
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

/// A number of an account that no purchase of this deployment names, locked against concurrent decisions.
const STRANGER: &str = "\
-- reconcile.decisions.stranger
select s.telnyx_phone_number_id, s.key_sha256
from phone_number_strangers s
where s.telnyx_account = $1 /* telnyx_account */
  and s.phone_number = $2 /* phone_number */
for update";

/// Switches off what a drift says is not at Telnyx.
const ACCEPT_DRIFT: &str = "\
-- reconcile.decisions.accept_drift
update agency_phone_numbers n
set status = 'inactive'
where n.id = any($1::uuid[] /* row_ids */)
  and n.status = 'active'
  and n.is_active
returning n.id";

/// Whether the ledger can have a purchase as done for an agency: it is this agency's, or not known at all.
const MAY_BE_OF: &str = "\
-- reconcile.decisions.may_be_of
select not exists (
         select
         from phone_number_purchases p
         where p.id = $1 /* purchase_id */
           and p.agency_id <> $2 /* agency_id */
       ) as may_be";

/// Accepts an API key for the purchases and releases that wait for proof of the key.
const VOUCH: &str = "\
-- reconcile.decisions.vouch
with purchases as (
  update phone_number_purchases p
  set key_sha256 = $2 /* key_sha256 */
  where p.id in (
    select o.id
    from phone_number_purchases o
    where o.agency_phone_number_id = any($1::uuid[] /* row_ids */)
      and o.phase not in ('failed', 'cancelled')
      and o.telnyx_account = $3 /* telnyx_account */
    order by o.id
    for update
  )
  returning p.id
), releases as (
  update phone_number_releases r
  set key_sha256 = $2
  where r.id in (
    select o.id
    from phone_number_releases o
    where o.agency_phone_number_id = any($1)
      and o.phase = 'requested'
      and o.telnyx_account = $3
    order by o.id
    for update
  )
  returning r.id
)
select id
from purchases
union all
select id
from releases";

/// The rows of a finding that wait for a purchase that predates the ledger.
const LEGACY_ROWS: &str = "\
-- reconcile.decisions.legacy_rows
select n.id
from agency_phone_numbers n
where n.id = any($1::uuid[] /* row_ids */)
  and n.status = 'pending'
  and not exists (
    select
    from phone_number_purchases p
    where p.agency_phone_number_id = n.id
  )";

/// The latest purchases into rows, and their accounts.
const BOUGHT: &str = "\
-- reconcile.decisions.bought
select distinct on (p.agency_phone_number_id) p.id, p.telnyx_account
from phone_number_purchases p
where p.agency_phone_number_id = any($1::uuid[] /* row_ids */)
order by p.agency_phone_number_id, p.created_at desc";

pub(in crate::store) const STATEMENTS: &[&str] =
    &[DECIDE, ROWS, RESOLVE, TAKE, STRANGER, ACCEPT_DRIFT, MAY_BE_OF, VOUCH, LEGACY_ROWS, BOUGHT];

/// An operator, in the history.
const OPERATOR: &str = "operator";

/// The result of adopting a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// The number is the agency's, under this row.
    Adopted(Uuid),
    /// So many rows are inactive.
    Deactivated(usize),
    /// So many purchases and releases continue with the API key.
    Vouched(usize),
    /// So many purchases are given up.
    GivenUp(usize),
    /// The ledger has the number in the account of the finding.
    Moved,
    /// The finding suggests nothing that could be done here, or that can be done any more.
    NothingToDo,
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

impl Adoption {
    /// Whether the finding is settled by it.
    const fn is_done(&self) -> bool {
        matches!(self, Self::Adopted(_) | Self::Deactivated(_) | Self::Vouched(_) | Self::GivenUp(_) | Self::Moved)
    }
}

/// The result of dismissing a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// It is dismissed.
    Dismissed,
    /// There is no open finding with this id.
    NoSuchFinding,
}

/// What an operator wants to become of a finding.
#[derive(Clone, Copy, Debug)]
struct Decision<'a> {
    number: Option<&'a E164>,
    agency_id: Option<Uuid>,
}

impl Store {
    /// Does what a finding suggests: a number becomes `agency_id`'s, or that of the agency it was bought for; the rows of a
    /// drift are switched off; work continues with a key that was in doubt; a purchase that misses its order or number is given
    /// up; the ledger follows a number that was moved. Of a finding about many numbers, `number` names the one to adopt, and the
    /// finding stays open with the others. Nothing is sent to Telnyx.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the transaction fails.
    pub async fn adopt_finding(&self, id: Uuid, number: Option<&E164>, agency_id: Option<Uuid>) -> Result<Adoption, Error> {
        self.transaction(|| self.try_to_adopt_finding(id, Decision { number, agency_id })).await
    }

    async fn try_to_adopt_finding(&self, id: Uuid, decision: Decision<'_>) -> Result<Adoption, Undone> {
        let mut session = self.connections.get().await?;
        let transaction = session.begin().await?;
        let Some(row) = transaction.rows(DECIDE, &[&id]).await?.into_iter().next() else { return Ok(Adoption::NoSuchFinding) };
        sign(&transaction, OPERATOR).await?;
        let adoption = decide(&transaction, &finding(&row)?, decision).await?;
        if adoption.is_done() {
            transaction.commit().await?;
        }
        Ok(adoption)
    }

    /// Leaves what was found as it is.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn dismiss_finding(&self, id: Uuid) -> Result<Dismissal, Error> {
        let dismissed = self.row(RESOLVE, &[&id, &"dismissed", &OPERATOR]).await?;
        Ok(dismissed.map_or(Dismissal::NoSuchFinding, |_| Dismissal::Dismissed))
    }
}

/// Does what is suggested, within a transaction that is kept only where it was done.
async fn decide(transaction: &Transaction<'_>, finding: &Finding, decision: Decision<'_>) -> Result<Adoption, Undone> {
    let observation = &finding.observation;
    if observation.kind == FindingKind::NotOurs && observation.number.is_none() {
        return adopt_stranger(transaction, finding, decision).await;
    }
    if decision.number.is_some_and(|number| observation.number.as_deref() != Some(number.as_str())) {
        return Ok(Adoption::NoSuchNumber);
    }
    transaction.rows(ROWS, &[&observation.row_ids]).await?;
    let adoption = match observation.kind {
        FindingKind::NotOurs
        | FindingKind::UnprovenClaim
        | FindingKind::AgencyGone
        | FindingKind::HeldByAnother
        | FindingKind::ReleasedButBilled => adopt_number(transaction, observation, decision.agency_id).await?,
        FindingKind::InventoryDrift => Adoption::Deactivated(transaction.rows(ACCEPT_DRIFT, &[&observation.row_ids]).await?.len()),
        FindingKind::KeyUnproven => vouch(transaction, observation).await?,
        FindingKind::OrderMissing | FindingKind::NumberMissing => {
            Adoption::GivenUp(transaction.rows(GIVE_UP, &[&observation.row_ids]).await?.len())
        }
        FindingKind::NumberMoved => follow(transaction, observation).await?,
        FindingKind::ReleaseRefused | FindingKind::SameAccount => Adoption::NothingToDo,
    };
    if adoption.is_done() {
        transaction.rows(RESOLVE, &[&finding.id, &"adopted", &OPERATOR]).await?;
    }
    Ok(adoption)
}

/// Gives a number that Telnyx bills to an agency.
async fn adopt_number(transaction: &Transaction<'_>, observation: &Observation, chosen: Option<Uuid>) -> Result<Adoption, Undone> {
    let Some(agency_id) = agency(transaction, chosen.or(observation.agency_id)).await? else {
        return Ok(Adoption::AgencyNeeded);
    };
    let (Some(number), Some(phone_number_id)) = (&observation.number, &observation.phone_number_id) else {
        return Ok(Adoption::NoSuchNumber);
    };
    let named = named_purchase(transaction, observation, agency_id).await?;
    let purchase_id = named.map_or_else(Uuid::new_v4, |(_, id)| id);
    let reference = named.map_or_else(|| own_reference(purchase_id), |(reference, _)| reference.to_owned());
    let adoptee = Adoptee {
        key_digest: observation.key_digest,
        ..adoptee(agency_id, number, phone_number_id, &observation.account, (purchase_id, &reference))
    };
    let instead_of = if observation.kind == FindingKind::HeldByAnother { observation.row_ids.as_slice() } else { &[] };
    let row_id = adopt(transaction, &adoptee, instead_of).await?;
    Ok(row_id.map_or(Adoption::Held, Adoption::Adopted))
}

/// The purchase that a number names, with its reference, if the agency can have it: the agency of a purchase never changes. A
/// reference that proves nothing stays the reference of the purchase that has it.
async fn named_purchase<'a>(
    transaction: &Transaction<'_>,
    observation: &'a Observation,
    agency_id: Uuid,
) -> Result<Option<(&'a str, Uuid)>, Undone> {
    let Some(reference) = observation.reference.as_deref().filter(|_| observation.kind != FindingKind::UnprovenClaim) else {
        return Ok(None);
    };
    let Some(named) = reference.parse::<Reference>().ok().filter(|named| named.agency_id == agency_id) else { return Ok(None) };
    let rows = transaction.rows(MAY_BE_OF, &[&named.purchase_id, &agency_id]).await?;
    let may_be = rows.first().map(|row| column(row, "may_be")).transpose()?;
    Ok(Some((reference, named.purchase_id)).filter(|_| may_be == Some(true)))
}

/// Lets the work that waits for proof continue with the key of the finding. A row that predates the ledger has no such work: it
/// is released.
async fn vouch(transaction: &Transaction<'_>, observation: &Observation) -> Result<Adoption, Undone> {
    let vouched = transaction.rows(VOUCH, &[&observation.row_ids, &observation.key_digest, &observation.account]).await?.len();
    let mut given_up = 0;
    for legacy_row in transaction.rows(LEGACY_ROWS, &[&observation.row_ids]).await? {
        let row_id: Uuid = column(&legacy_row, "id")?;
        given_up += transaction.rows(BACKFILL, &abandoned(&row_id, &observation.account.as_str())).await?.len();
    }
    Ok(match (vouched, given_up) {
        (0, 0) => Adoption::NothingToDo,
        (0, rows) => Adoption::GivenUp(rows),
        (rows, _) => Adoption::Vouched(rows),
    })
}

/// Has the ledger follow a number to the account of the finding.
async fn follow(transaction: &Transaction<'_>, observation: &Observation) -> Result<Adoption, Undone> {
    let Some(phone_number_id) = &observation.phone_number_id else { return Ok(Adoption::NothingToDo) };
    let mut moved = 0;
    for bought in transaction.rows(BOUGHT, &[&observation.row_ids]).await? {
        let (id, from): (Uuid, String) = (column(&bought, "id")?, column(&bought, "telnyx_account")?);
        moved += transaction.rows(MOVE, &[&id, &from, &observation.account, phone_number_id, &observation.key_digest]).await?.len();
    }
    Ok(if moved > 0 { Adoption::Moved } else { Adoption::NothingToDo })
}

/// Adopts one of the numbers of an account that no purchase of this deployment names.
async fn adopt_stranger(transaction: &Transaction<'_>, finding: &Finding, decision: Decision<'_>) -> Result<Adoption, Undone> {
    let account = finding.observation.account.as_str();
    let Some(number) = decision.number.map(E164::as_str) else { return Ok(Adoption::NumberNeeded) };
    let strangers = transaction.rows(STRANGER, &[&account, &number]).await?;
    let Some(stranger) = strangers.first() else { return Ok(Adoption::NoSuchNumber) };
    let Some(agency_id) = agency(transaction, decision.agency_id).await? else { return Ok(Adoption::AgencyNeeded) };
    let phone_number_id: &str = column(stranger, "telnyx_phone_number_id")?;
    let purchase_id = Uuid::new_v4();
    let reference = own_reference(purchase_id);
    let key_digest = column(stranger, "key_sha256")?;
    let adoptee = Adoptee { key_digest, ..adoptee(agency_id, number, phone_number_id, account, (purchase_id, &reference)) };
    let Some(row_id) = adopt(transaction, &adoptee, &[]).await? else { return Ok(Adoption::Held) };
    transaction.rows(TAKE, &[&finding.id, &account, &number, &OPERATOR]).await?;
    Ok(Adoption::Adopted(row_id))
}

/// The agency, if there is one.
async fn agency(transaction: &Transaction<'_>, agency_id: Option<Uuid>) -> Result<Option<Uuid>, Undone> {
    let found = transaction.rows(AGENCY, &[&agency_id]).await?;
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
    Adoptee {
        agency_id,
        number,
        phone_number_id,
        number_type: None,
        country_code: None,
        purchase_id,
        account,
        reference,
        order_id: None,
        key_digest: None,
    }
}
