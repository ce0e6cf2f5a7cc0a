//! The search in numbers and names: docs/decisions/0057.
//!
//! Two ways lead to the rows. The youngest rows of the list are read and compared first: a text that many rows have has filled the
//! page by then. Otherwise an index has the rows with every three characters of the text: a text that fills no page is in few
//! rows. A text of less than three characters is in no index, and every row of the agency is compared.

use super::selection::ListFilter;

/// How many of the youngest rows are compared before the index is asked. More than a count needs.
pub(super) const SCANNED: i64 = 1_200;

/// As many characters as an entry of the index has.
const INDEXED: usize = 3;

/// Whether an index has the rows with a text.
pub(super) fn is_indexed(filter: &ListFilter) -> bool {
    let has = |text: &Option<String>| text.as_ref().is_none_or(|text| text.chars().count() >= INDEXED);
    has(&filter.search) && has(&filter.number)
}

/// Whether a row `n` has the text in its number or its name.
macro_rules! matches {
    () => {
        "(strpos(n.phone_number, coalesce($11::text /* number */, $10::text /* search */)) > 0
    or strpos(lower(n.friendly_name), lower($10)) > 0)"
    };
}

/// What else a row `n` that the index has must be.
macro_rules! is_listed {
    () => {
        concat!(
            "n.status::text = any($3)
  and ($4 is null or (n.agent_mapping_id is not null) = $4)
  and ($9::uuid is null or n.agent_mapping_id = $9)
  and ",
            is_behind!("n")
        )
    };
}

/// The places of the rows `n` whose number or name has every three characters of a text, if they are needed. The condition on the agency
/// is written so that no other index is used for it: the terms are those of the agency already.
macro_rules! with_terms {
    ($terms:literal, $matches:expr) => {
        concat!(
            "select n.agency_id, n.created_at, n.id
from agency_phone_numbers n
where (select e.is_index_needed from enough e)
  and n.agency_id is not distinct from c.agency_id
  and phone_number_search_terms(n.agency_id, n.phone_number, n.friendly_name) @> ",
            $terms,
            "
  and ",
            $matches,
            "
  and ",
            is_listed!(),
            "
union all
select n.agency_id, n.created_at, n.id
from agency_phone_numbers_archive a
cross join lateral jsonb_populate_record(null::agency_phone_numbers, a.record) n
where (select e.is_index_needed and 'released' = any($3) from enough e)
  and a.agency_id is not distinct from c.agency_id
  and phone_number_search_terms(a.agency_id, a.phone_number, a.record ->> 'friendly_name') @> ",
            $terms,
            "
  and ",
            $matches,
            "
  and ",
            is_listed!()
        )
    };
}

/// The places of the rows of a search, cut by `$cut`. If a number is searched for, names are searched for it as it is written, too.
macro_rules! searched {
    ($cut:ident) => {
        concat!(
            "with recent as materialized (
select n.agency_id, n.created_at, n.id
from (
select k.agency_id, k.created_at, k.id
from (
",
            all_by_age!("$12::bigint"),
            "
) k
order by k.created_at desc, k.id desc
limit $12::bigint /* scanned */
) k
cross join lateral (
",
            row_at!(),
            "
) n
where ",
            matches!(),
            "
  and ($9::uuid /* agent_id */ is null or n.agent_mapping_id = $9)
order by k.created_at desc, k.id desc
limit $7::bigint + $8::bigint
), enough as materialized (
select $13::boolean /* is_indexed */ and count(*) < $7 + $8 as is_index_needed
from recent
), found as (
select r.agency_id, r.created_at, r.id
from recent r
where (select not e.is_index_needed from enough e)
union all
",
            with_terms!("phone_number_search_terms(c.agency_id, $11, case when $11 is null then $10 end)", matches!()),
            "
union all
",
            with_terms!(
                "phone_number_search_terms(c.agency_id, null, $10)",
                "strpos(n.phone_number, $11) = 0
  and strpos(lower(n.friendly_name), lower($10)) > 0"
            ),
            "
)
",
            $cut!("select f.agency_id, f.created_at, f.id from found f")
        )
    };
}

pub(super) use {is_listed, matches, searched, with_terms};
