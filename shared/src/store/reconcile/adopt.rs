//! Gives a row to a number at Telnyx that should have one and has none.

use uuid::Uuid;

use crate::error::Error;
use crate::model::KeyDigest;
use crate::store::deployment::deployment;
use crate::store::numbers::archive::VACATE;
use crate::store::numbers::history::{RECONCILE, sign};
use crate::store::{Store, Transaction, Undone, column};

/// Releases a row, so that its number can get a row of another agency.
const SURRENDER: &str = "\
-- reconcile.adopt.surrender
update agency_phone_numbers n
set status = 'released',
    is_active = false,
    released_at = now(),
    agent_mapping_id = null
where n.phone_number = $1 /* phone_number */
  and n.id = any($2::uuid[] /* row_ids */)
  and n.status in ('active', 'inactive')
returning n.id";

/// A number that Telnyx has for an agency and that has no row gets one, and the ledger a purchase that is done. What the
/// number can do and costs, only the ledger may still know. Whose purchase it was never changes: no row is made where the ledger
/// has it as another agency's.
const ADOPT: &str = concat!(
    "-- reconcile.adopt.insert
with adopted as (
  insert into agency_phone_numbers
    (id, agency_id, phone_number, phone_number_id, number_type, country_code, voice_enabled, sms_enabled, mms_enabled,
     monthly_cost, setup_cost, currency, status, purchased_at)
  select $1 /* row_id */,
         $2 /* agency_id */,
         $3 /* phone_number */,
         $4 /* phone_number_id */,
         coalesce($5 /* number_type */, k.number_type),
         coalesce($6 /* country_code */, k.country_code),
         coalesce('voice' = any(k.features), true),
         coalesce('sms' = any(k.features), false),
         coalesce('mms' = any(k.features), false),
         k.monthly_cost,
         k.upfront_cost,
         coalesce(k.currency, 'USD'),
         'active',
         now()
  from (values ($7::uuid /* purchase_id */)) i (purchase_id)
  left join phone_number_purchases k on k.id = i.purchase_id
  on conflict (phone_number) do nothing
  returning id, agency_id, phone_number, phone_number_id, number_type, country_code
)
insert into phone_number_purchases as p
  (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, telnyx_order_id,
   telnyx_phone_number_id, number_type, country_code, key_sha256, deployment, origin, phase, completed_at)
select $7, $7, a.agency_id, a.id, a.phone_number, $8 /* telnyx_account */, $9 /* telnyx_reference */,
       $10 /* telnyx_order_id */, a.phone_number_id, a.number_type, a.country_code, $11 /* key_sha256 */, ",
    deployment!(),
    ", 'adopted', 'completed', now()
from adopted a
on conflict (id) do update
set agency_phone_number_id = excluded.agency_phone_number_id,
    telnyx_account = excluded.telnyx_account,
    telnyx_order_id = coalesce(excluded.telnyx_order_id, p.telnyx_order_id),
    telnyx_phone_number_id = excluded.telnyx_phone_number_id,
    key_sha256 = coalesce(excluded.key_sha256, p.key_sha256),
    origin = 'adopted',
    phase = 'completed',
    failure_code = null,
    failure_detail = null,
    completed_at = excluded.completed_at,
    lease_token = null,
    leased_until = null
where p.phase in ('completed', 'failed', 'cancelled')
  and p.phone_number = excluded.phone_number
  and p.agency_id = excluded.agency_id
  and coalesce(p.deployment, excluded.deployment) = excluded.deployment
returning p.agency_phone_number_id"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[SURRENDER, ADOPT];

/// A number at Telnyx that gets a row.
#[derive(Clone, Debug)]
pub struct Adoptee<'a> {
    /// The agency whose it is.
    pub agency_id: Uuid,
    /// The number, in E.164.
    pub number: &'a str,
    /// Telnyx's id of it.
    pub phone_number_id: &'a str,
    /// Its type, in Telnyx's words.
    pub number_type: Option<&'a str>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<&'a str>,
    /// The purchase that its reference names, or a new one.
    pub purchase_id: Uuid,
    /// The account that has it.
    pub account: &'a str,
    /// Its `customer_reference`, or one that no other purchase has.
    pub reference: &'a str,
    /// Telnyx's id of the order that bought it, where there is one to be found.
    pub order_id: Option<&'a str>,
    /// The SHA-256 of the API key that showed it.
    pub key_digest: Option<KeyDigest>,
}

impl Store {
    /// Gives a number at Telnyx that has no live row the row that it should have. None: it has one now, or its
    /// purchase is still being pursued.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn adopt(&self, adoptee: &Adoptee<'_>) -> Result<Option<Uuid>, Error> {
        self.transaction(|| self.try_to_adopt(adoptee)).await
    }

    async fn try_to_adopt(&self, adoptee: &Adoptee<'_>) -> Result<Option<Uuid>, Undone> {
        let mut session = self.connections.get().await?;
        let transaction = session.begin().await?;
        sign(&transaction, RECONCILE).await?;
        let row_id = adopt(&transaction, adoptee, &[]).await?;
        if row_id.is_some() {
            transaction.commit().await?;
        }
        Ok(row_id)
    }
}

/// The row that a number gets, instead of those rows; None when another live row has it.
pub(in crate::store) async fn adopt(
    transaction: &Transaction<'_>,
    adoptee: &Adoptee<'_>,
    instead_of: &[Uuid],
) -> Result<Option<Uuid>, Undone> {
    let row_id = Uuid::new_v4();
    if !instead_of.is_empty() {
        transaction.rows(SURRENDER, &[&adoptee.number, &instead_of]).await?;
    }
    transaction.rows(VACATE, &[&adoptee.number, &row_id]).await?;
    let Adoptee { agency_id, number, phone_number_id, number_type, country_code, purchase_id, account, reference, order_id, key_digest } =
        adoptee;
    let rows = transaction
        .rows(
            ADOPT,
            &[
                &row_id,
                agency_id,
                number,
                phone_number_id,
                number_type,
                country_code,
                purchase_id,
                account,
                reference,
                order_id,
                key_digest,
            ],
        )
        .await?;
    Ok(rows.first().map(|row| column(row, "agency_phone_number_id")).transpose()?)
}
