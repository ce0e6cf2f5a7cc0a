//! Pages of the list.

use super::search::{is_listed, matches, searched, with_terms};
use super::selection::{ByKind, all_by_age, cut, in_archive, in_status, is_behind, of_agent_by_age, row_at, selected};
use crate::store::callers::caller;

macro_rules! page {
    ($name:literal, $selection:ident) => {
        concat!(
            $name,
            "\n",
            caller!(),
            "\nselect ",
            shown_columns!(),
            "\nfrom caller c\ncross join lateral (\n",
            selected!($selection),
            "\n) k\ncross join lateral (\n",
            row_at!(),
            "\n) n\n",
            shown_joins!(),
            "\norder by k.created_at desc, k.id desc"
        )
    };
}

/// A page of each kind of selection.
pub(super) const PAGES: ByKind = ByKind {
    all: page!("-- numbers.page.all", all),
    of_agent: page!("-- numbers.page.of_agent", of_agent),
    searched: page!("-- numbers.page.searched", searched),
};

pub(in crate::store) const STATEMENTS: &[&str] = &[PAGES.all, PAGES.of_agent, PAGES.searched];
