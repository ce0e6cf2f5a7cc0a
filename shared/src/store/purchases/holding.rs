//! The current row of a number, with the purchase that it comes from, as an agency that wants the number sees it.

use uuid::Uuid;

use super::ledger::{Purchase, columns, purchase};
use crate::error::Error;
use crate::model::{E164, Status};
use crate::store::numbers::switched_off::switched_off;
use crate::store::{Store, column};

/// Who has a number, and the latest attempt to buy it into that row.
const HOLDING: &str = concat!(
    "-- purchases.holding.get
select n.id as row_id,
       n.agency_id = $2 /* agency_id */ as ours,
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
order by p.created_at desc
limit 1"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[HOLDING];

/// Who has a number.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The row.
    pub row_id: Uuid,
    /// Whether it is the agency's that asks.
    pub ours: bool,
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
    /// The row of a number, as an agency sees it. None: no row has the number.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn holding(&self, agency_id: Uuid, number: &E164) -> Result<Option<Holding>, Error> {
        let Some(row) = self.row(HOLDING, &[number, &agency_id]).await? else { return Ok(None) };
        let bought: Option<Uuid> = column(&row, "id")?;
        Ok(Some(Holding {
            row_id: column(&row, "row_id")?,
            ours: column(&row, "ours")?,
            status: column(&row, "status")?,
            is_active: column(&row, "is_active")?,
            phone_number_id: column(&row, "phone_number_id")?,
            switched_off: column::<Option<bool>>(&row, "switched_off")?.unwrap_or(false),
            purchase: bought.map(|_| purchase(&row)).transpose()?,
        }))
    }
}
