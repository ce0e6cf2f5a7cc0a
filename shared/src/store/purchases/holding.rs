//! The live row of a number, with the purchase that it comes from, as an agency that wants the number sees it.

use uuid::Uuid;

use super::ledger::{Purchase, columns, purchase as purchase_of};
use crate::error::Error;
use crate::model::{E164, Status};
use crate::store::numbers::switched_off::switched_off;
use crate::store::tenant::Tenant;
use crate::store::{Store, column};

/// The live row of a number, and the latest attempt to buy the number into that row.
const HOLDING: &str = concat!(
    "-- purchases.holding.get
select n.agency_id as row_agency_id,
       n.id as row_id,
       n.status::text as status,
       n.is_active,
       n.phone_number_id,
       ",
    switched_off!(),
    " as switched_off,
       ",
    columns!(),
    "
from agency_phone_numbers n
left join phone_number_purchases p on p.agency_phone_number_id = n.id
where n.phone_number = $1 /* phone_number */
  and n.status <> 'released'
order by p.created_at desc
limit 1"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[HOLDING];

/// Who has a number: a live row with it, pending or bought.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Holding {
    /// Nobody.
    Free,
    /// The agency itself.
    Own(Held),
    /// Another agency, about which nothing is told.
    Elsewhere,
}

/// A number that an agency has.
#[derive(Clone, Debug)]
pub struct Held {
    /// The row.
    pub row_id: Uuid,
    /// The row's status.
    pub status: Status,
    /// False once its release has begun.
    pub is_active: bool,
    /// Telnyx's id of the number, as the row has it.
    pub phone_number_id: Option<String>,
    /// It is inactive because a comparison with Telnyx did not find its number.
    pub switched_off: bool,
    /// The latest attempt to buy it into that row, if we made any.
    pub purchase: Option<Purchase>,
}

impl Store {
    /// Who has a number, as an agency sees it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn holding(&self, agency_id: Uuid, number: &E164) -> Result<Holding, Error> {
        let Some(row) = self.row(HOLDING, &[number]).await? else { return Ok(Holding::Free) };
        let tenant = Tenant::from(agency_id);
        if !tenant.is(column(&row, "row_agency_id")?) {
            return Ok(Holding::Elsewhere);
        }
        let purchase = tenant.part(&row, "agency_id")?;
        Ok(Holding::Own(Held {
            row_id: column(&row, "row_id")?,
            status: column(&row, "status")?,
            is_active: column(&row, "is_active")?,
            phone_number_id: column(&row, "phone_number_id")?,
            switched_off: column::<Option<bool>>(&row, "switched_off")?.unwrap_or(false),
            purchase: purchase.map(|row| purchase_of(row.ledger())).transpose()?,
        }))
    }
}
