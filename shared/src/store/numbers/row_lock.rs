//! The lock on a row of `agency_phone_numbers`, taken before the locks on its ledger entries: see "The order of locks" in
//! docs/architecture.md.

/// A part of a statement that locks the rows of some entries `l` of a ledger. The condition [`row_is_locked`] in the update of
/// the entries has it done first.
macro_rules! row_lock {
    ($ledger:literal, $entries:literal) => {
        concat!(
            "target as (
  select n.id
  from agency_phone_numbers n
  where n.id in (
    select l.agency_phone_number_id
    from ",
            $ledger,
            " l
    where ",
            $entries,
            "
  )
  for update
)"
        )
    };
}

/// True, once [`row_lock`] has locked the row or found none.
macro_rules! row_is_locked {
    () => {
        "(select count(*) from target) >= 0"
    };
}

pub(in crate::store) use {row_is_locked, row_lock};
