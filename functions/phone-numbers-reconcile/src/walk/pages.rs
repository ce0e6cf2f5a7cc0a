//! Decides which page a walk reads next.
//!
//! The inventory is read page by page. A page that is refused, or empty although it should not be, makes the walk start over
//! once: the account may have fewer numbers by now. If the same page is refused again, Telnyx serves no pages from there on.
//! The rest is read through windows: lists of the numbers that contain certain digits. The first windows are the three-digit
//! ones from 100 to 999. If a window has too many pages itself, it is replaced by the ten windows with one more digit. Every
//! number is in the windows of its own first digits, whatever else a window shows.
//!
//! Performs no I/O.

use shared::store::Place;
use shared::telnyx::{InventoryPage, Owned};

/// The longest number in E.164, in digits.
const LONGEST_NUMBER: usize = 15;
/// The shortest filter that Telnyx accepts, in digits.
const SHORTEST_WINDOW: usize = 3;
/// A page that has failed in this many consecutive runs counts as not served.
const MAX_FAILED_RUNS: u32 = 3;

/// Where a walk continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At this page.
    Read(Place),
    /// Nowhere: the walk has come to its end, in this state.
    End(Place),
}

/// Whether Telnyx has served the page at `place`. A page beyond the first must not be empty, since the page before announced
/// it; unless Telnyx sends no count of pages.
pub(super) const fn is_served(place: &Place, page: &InventoryPage) -> bool {
    !page.is_empty || place.page == 1 || page.total_pages.is_none()
}

/// Whether all numbers contain the digits of the window. If not, Telnyx ignores the filter.
pub(super) fn matches_window(place: &Place, numbers: &[Owned]) -> bool {
    numbers.iter().all(|owned| owned.number.digits().contains(&place.window))
}

/// Where a walk continues after a page that was served.
pub(super) fn after(place: &Place, page: &InventoryPage) -> Next {
    if page.is_empty || page.total_pages.is_some_and(|pages| place.page >= pages) {
        return leave(place);
    }
    let limit = place.page_limit.unwrap_or(u32::MAX);
    // The account as a whole is read up to the limit before the windows, because the filter may turn out not to work.
    let has_too_many = !place.window.is_empty() && page.total_pages.is_some_and(|pages| pages >= limit);
    if has_too_many || place.page + 1 >= limit {
        return narrow(place);
    }
    let refused_page = place.refused_page.filter(|refused| *refused > place.page);
    Next::Read(Place { page: place.page + 1, refused_page, failed_runs: 0, ..place.clone() })
}

/// Where a walk continues after a page that Telnyx does not serve. Not for the first page of an account.
pub(super) fn after_refusal(place: &Place) -> Next {
    if place.page == 1 {
        return skip(place);
    }
    if place.refused_page == Some(place.page) {
        return narrow(&Place { page_limit: place.refused_page, ..place.clone() });
    }
    let is_whole = place.is_whole || place.window.is_empty();
    Next::Read(Place { page: 1, refused_page: Some(place.page), failed_runs: 0, is_whole, ..place.clone() })
}

/// Where a walk continues after a page that could not be read this time: at the same page, up to [`MAX_FAILED_RUNS`] times.
pub(super) fn after_failure(place: &Place) -> Next {
    let failed = Place { failed_runs: place.failed_runs + 1, ..place.clone() };
    if failed.failed_runs < MAX_FAILED_RUNS { Next::Read(failed) } else { after_refusal(&failed) }
}

/// Ends a walk whose windows cannot be read, because Telnyx ignores the filter.
pub(super) fn without_windows(place: &Place) -> Next {
    Next::End(Place { is_whole: false, ..place.clone() })
}

/// Replaces a window by windows with one more digit: continues with the first of them.
fn narrow(place: &Place) -> Next {
    match place.window.len() {
        0 => enter(place, format!("1{}", "0".repeat(SHORTEST_WINDOW - 1))),
        length if length < LONGEST_NUMBER => enter(place, format!("{}0", place.window)),
        _ => skip(place),
    }
}

/// Leaves a window that cannot be read completely.
fn skip(place: &Place) -> Next {
    leave(&Place { is_whole: false, ..place.clone() })
}

/// Continues with the next window.
fn leave(place: &Place) -> Next {
    let mut window = place.window.as_str();
    // After the last window of one more digit follows the next one with fewer digits.
    while window.len() > SHORTEST_WINDOW && window.ends_with('9') {
        window = &window[..window.len() - 1];
    }
    let next = window.parse::<u64>().ok().map(|digits| (digits + 1).to_string()).filter(|next| next.len() == window.len());
    next.map_or_else(|| Next::End(place.clone()), |window| enter(place, window))
}

fn enter(place: &Place, window: String) -> Next {
    Next::Read(Place { window, page: 1, refused_page: None, failed_runs: 0, ..*place })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn page(numbers: &[&str], total_pages: u32) -> InventoryPage {
        let owned = |number: &&str| Owned {
            id: "1".to_owned(),
            number: number.parse().unwrap(),
            is_active: true,
            customer_reference: None,
            number_type: None,
            country_code: None,
            is_locked: false,
        };
        InventoryPage { numbers: numbers.iter().map(owned).collect(), is_empty: numbers.is_empty(), total_pages: Some(total_pages) }
    }

    fn at(window: &str, page: u32) -> Place {
        Place { window: window.to_owned(), page, ..Place::start(None) }
    }

    fn place(next: Next) -> Place {
        match next {
            Next::Read(place) => place,
            Next::End(place) => panic!("the walk has ended: {place:?}"),
        }
    }

    /// Walks through an account of which Telnyx serves the first `served` pages of `size` numbers each. Returns the numbers that
    /// were seen, how many pages were asked for, and whether the walk is whole.
    fn walk(numbers: &[String], size: usize, served: u32) -> (BTreeSet<String>, usize, bool) {
        let (mut current, mut seen, mut asked) = (Place::start(None), BTreeSet::new(), 0);
        loop {
            asked += 1;
            let found: Vec<_> = numbers.iter().filter(|number| number[1..].contains(&current.window)).map(String::as_str).collect();
            let pages = u32::try_from(found.len().div_ceil(size)).unwrap();
            let shown: Vec<_> = found.into_iter().skip((current.page as usize - 1) * size).take(size).collect();
            let next = if current.page > served {
                after_refusal(&current)
            } else {
                seen.extend(shown.iter().map(|number| (*number).to_owned()));
                after(&current, &page(&shown, pages))
            };
            match next {
                Next::Read(next) => current = next,
                Next::End(end) => return (seen, asked, end.is_whole),
            }
        }
    }

    #[test]
    fn an_account_whose_pages_are_all_served_is_read_page_by_page() {
        let numbers: Vec<_> = (0..100).map(|index| format!("+1312555{index:04}")).collect();
        assert_eq!(walk(&numbers, 10, 100), (numbers.iter().cloned().collect(), 10, true));
        assert_eq!(walk(&[], 10, 100), (BTreeSet::new(), 1, true));
    }

    #[test]
    fn an_account_of_which_few_pages_are_served_is_read_whole() {
        let one_exchange = (0..500).map(|index| format!("+1312555{index:04}"));
        let elsewhere = (0..40).map(|index| format!("+4420{index:08}"));
        let short = ["+9991234".to_owned(), "+99912345".to_owned()];
        let numbers: Vec<_> = one_exchange.chain(elsewhere).chain(short).collect();
        for served in [1, 3] {
            let (seen, asked, is_whole) = walk(&numbers, 10, served);
            assert_eq!((seen.len(), is_whole), (numbers.len(), true), "{served}");
            // Each of the 900 windows takes a page; the other pages are in proportion to the numbers.
            assert!(asked < 900 + 2 * numbers.len(), "{asked}");
        }
    }

    #[test]
    fn a_page_that_is_not_served_makes_the_walk_start_over_once() {
        let next = place(after_refusal(&at("", 7)));
        assert_eq!((next.is_start(), next.refused_page), (true, Some(7)));
        let shrunk = after(&Place { page: 6, ..next.clone() }, &page(&["+13125550123"], 6));
        assert!(matches!(shrunk, Next::End(Place { is_whole: true, .. })));
        let read = place(after(&Place { page: 7, ..next.clone() }, &page(&["+13125550123"], 9)));
        assert_eq!((read.page, read.refused_page), (8, None));
        let again = place(after_refusal(&Place { page: 7, ..next }));
        assert_eq!((again.window.as_str(), again.page, again.page_limit), ("100", 1, Some(7)));
    }

    #[test]
    fn a_known_limit_is_not_tried_again_and_does_not_affect_smaller_accounts() {
        let known = Place { page: 6, page_limit: Some(7), ..Place::start(None) };
        assert_eq!(place(after(&known, &page(&["+13125550123"], 9))).window, "100");
        assert!(matches!(after(&known, &page(&["+13125550123"], 6)), Next::End(_)));
        let window = Place { page_limit: Some(7), ..at("131", 1) };
        assert_eq!(place(after(&window, &page(&["+13125550123"], 7))).window, "1310");
        assert_eq!(place(after(&window, &page(&["+13125550123"], 6))).page, 2);
    }

    #[test]
    fn an_empty_page_counts_as_served_only_if_no_page_was_announced() {
        let empty = |total_pages| InventoryPage { numbers: Vec::new(), is_empty: true, total_pages };
        assert!(is_served(&at("", 1), &empty(Some(0))) && is_served(&at("", 1), &empty(Some(3))));
        assert!(!is_served(&at("", 2), &empty(Some(3))) && !is_served(&at("", 2), &empty(Some(1))));
        assert!(is_served(&at("", 2), &empty(None)));
        assert!(matches!(after(&at("", 2), &empty(None)), Next::End(_)));
    }

    #[test]
    fn a_window_that_cannot_be_read_makes_the_walk_incomplete() {
        let next = place(after_refusal(&at("131", 1)));
        assert_eq!((next.window.as_str(), next.is_whole), ("132", false));
        assert!(matches!(after_refusal(&at("999", 1)), Next::End(Place { is_whole: false, .. })));
        assert_eq!(place(after_refusal(&at("1399", 1))).window, "140");
        let number = Place { refused_page: Some(2), ..at("131255501234567", 2) };
        assert_eq!(place(after_refusal(&number)).window, "131255501234568");
        assert!(!place(after_refusal(&number)).is_whole);
    }

    #[test]
    fn a_page_that_keeps_failing_is_skipped() {
        let mut failing = at("", 7);
        for runs in [1, 2] {
            failing = place(after_failure(&failing));
            assert_eq!((failing.page, failing.failed_runs), (7, runs));
        }
        failing = place(after_failure(&failing));
        assert_eq!((failing.page, failing.refused_page, failing.failed_runs), (1, Some(7), 0));
        let mut failing = at("131", 1);
        for _ in 0..3 {
            failing = place(after_failure(&failing));
        }
        assert_eq!((failing.window.as_str(), failing.is_whole), ("132", false));
    }

    #[test]
    fn an_ignored_filter_is_detected() {
        assert!(
            matches_window(&at("", 1), &page(&["+13125550123"], 1).numbers)
                && matches_window(&at("555", 1), &page(&["+13125550123"], 1).numbers)
        );
        assert!(!matches_window(&at("131", 1), &page(&["+13125550123", "+442012345678"], 1).numbers));
        assert_eq!(without_windows(&at("131", 1)), Next::End(Place { is_whole: false, ..at("131", 1) }));
    }
}
