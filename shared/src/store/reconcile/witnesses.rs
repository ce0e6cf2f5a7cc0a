//! Witnesses: other orders and numbers of an account, by which a key proves that it opens the account.

use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, KeyDigest};
use crate::store::{Store, column};

/// Other orders and numbers of an account that were placed or shown with a key, the latest first. Of a purchase whose key the
/// ledger does not know, any other will do.
const WITNESSES: &str = "\
-- reconcile.witnesses.find
select p.telnyx_order_id,
       p.telnyx_phone_number_id
from phone_number_purchases p
where p.telnyx_account = $1 /* telnyx_account */
  and ($2::bytea /* key_sha256 */ is null or p.key_sha256 = $2)
  and p.id is distinct from $3::uuid /* except */
  and (p.telnyx_order_id is not null or p.telnyx_phone_number_id is not null)
order by p.created_at desc
limit 4";

/// Whether the ledger has another purchase of a number in an account, completed or unfinished.
const BOUGHT_THERE: &str = "\
-- reconcile.witnesses.bought_there
select p.id
from phone_number_purchases p
where p.phone_number = $1 /* phone_number */
  and p.telnyx_account = $2 /* telnyx_account */
  and p.id is distinct from $3::uuid /* except */
  and p.phase not in ('failed', 'cancelled')
limit 1";

pub(in crate::store) const STATEMENTS: &[&str] = &[WITNESSES, BOUGHT_THERE];

/// Something that the key of an account must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// An order, by Telnyx's id.
    Order(String),
    /// A number in the inventory, by Telnyx's id.
    Number(String),
}

impl Store {
    /// What the key of an account must know if it is `key_digest` or a later key of the same account: at most four, none of
    /// them of the purchase `except`.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn witnesses(&self, account: &str, key_digest: Option<KeyDigest>, except: Option<Uuid>) -> Result<Vec<Witness>, Error> {
        let rows = self.rows(WITNESSES, &[&account, &key_digest, &except]).await?;
        let mut witnesses = Vec::new();
        for row in &rows {
            // Orders stay known when their numbers are gone.
            let order: Option<String> = column(row, "telnyx_order_id")?;
            let number: Option<String> = column(row, "telnyx_phone_number_id")?;
            witnesses.extend(order.map(Witness::Order).or_else(|| number.map(Witness::Number)));
        }
        Ok(witnesses)
    }

    /// Whether the ledger has another purchase of a number in an account than `except`, completed or unfinished.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn is_bought_there(&self, number: &E164, account: &str, except: Option<Uuid>) -> Result<bool, Error> {
        Ok(self.row(BOUGHT_THERE, &[number, &account, &except]).await?.is_some())
    }
}
