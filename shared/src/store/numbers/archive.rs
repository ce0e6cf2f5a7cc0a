//! Archived rows: the released rows whose number was bought again.

/// Makes room for a number that was released: its row goes to the archive.
pub(in crate::store) const VACATE: &str = "\
-- numbers.archive.vacate
with vacated as (
  delete from agency_phone_numbers n
  where n.phone_number = $1 /* phone_number */
    and n.status = 'released'
  returning n.id, n.agency_id, n.phone_number, to_jsonb(n) as record
)
insert into agency_phone_numbers_archive as a (id, agency_id, phone_number, replaced_by, record)
select v.id, v.agency_id, v.phone_number, $2 /* row_id */, v.record
from vacated v
returning a.id";

pub(in crate::store) const STATEMENTS: &[&str] = &[VACATE];
