//! A number that was moved to another account at Telnyx: the ledger takes the new account.

use uuid::Uuid;

use crate::error::Error;
use crate::model::KeyDigest;
use crate::store::Store;
use crate::store::numbers::history::Reconciled;
use crate::store::numbers::row_lock::{row_is_locked, row_lock};
use crate::store::numbers::switched_off::switched_off;

/// The purchase, its row and a release under way take the account that has the number now, and its id there; all or nothing. A
/// row that was switched off for want of its number is switched on again.
pub(in crate::store) const MOVE: &str = concat!(
    "-- reconcile.moves.follow
with ",
    row_lock!("phone_number_purchases", "l.id = $1"),
    ", moved as (
  update phone_number_purchases p
  set telnyx_account = $3 /* to */,
      telnyx_phone_number_id = $4 /* telnyx_phone_number_id */,
      key_sha256 = $5 /* key_sha256 */
  where p.id = $1 /* purchase_id */
    and p.telnyx_account = $2 /* from */
    and p.phase = 'completed'
    and ",
    row_is_locked!(),
    "
  returning p.agency_phone_number_id
), rows as (
  update agency_phone_numbers n
  set phone_number_id = $4,
      status = case when n.is_active and ",
    switched_off!(),
    " then 'active' else n.status end
  from moved m
  where n.id = m.agency_phone_number_id
    and n.status in ('active', 'inactive')
), releases as (
  update phone_number_releases r
  set telnyx_account = $3,
      telnyx_phone_number_id = $4,
      key_sha256 = $5
  from moved m
  where r.agency_phone_number_id = m.agency_phone_number_id
    and r.phase = 'requested'
)
select m.agency_phone_number_id
from moved m"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[MOVE];

impl Store {
    /// Records that a number was moved to another account, unless the ledger does not have it in `from` any more.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a statement fails.
    pub async fn move_number(
        &self,
        purchase_id: Uuid,
        from: &str,
        to: &str,
        phone_number_id: &str,
        key_digest: KeyDigest,
    ) -> Result<Reconciled, Error> {
        self.reconciled(MOVE, &[&purchase_id, &from, &to, &phone_number_id, &key_digest]).await
    }
}
