//! The body of a release.

use std::collections::HashSet;

use shared::error::Error;
use shared::input::Input;
use uuid::Uuid;

/// How many numbers one request may release.
const LARGEST_REQUEST: usize = 50;

/// What to release.
pub(crate) struct Request {
    /// The ids of our rows, which the body calls `phone_number_ids`; not Telnyx's ids.
    pub(crate) ids: Vec<Uuid>,
}

impl Request {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        let ids = input.required("phone_number_ids", |input| Some(input.uuids("phone_number_ids", 1..=LARGEST_REQUEST)));
        let confirmed = input.boolean("confirm");
        let mut seen = HashSet::new();
        for (index, id) in ids.iter().flatten().enumerate() {
            if !seen.insert(id) {
                input.refuse(&format!("phone_number_ids[{index}]"), "is there more than once");
            }
        }
        let request = input.build(|| Some(Self { ids: ids? }))?;
        if confirmed == Some(true) { Ok(request) } else { Err(Error::ConfirmationRequired) }
    }
}
