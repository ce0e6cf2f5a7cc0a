//! The body of a release.

use std::collections::HashSet;

use shared::error::Error;
use shared::input;
use shared::input::{Flag, Ids, Input, Rule};
use uuid::Uuid;

/// A number is released once.
pub(crate) const EACH_ID_ONCE: Rule = Rule { name: "each_id_once", field: "phone_number_ids[]", message: "is there more than once" };

input! {
    /// The body of a release.
    pub(crate) struct Body {
        /// The ids of the rows, each of them once: the `id` of a row, not its `phone_number_id`, which is Telnyx's.
        required phone_number_ids: Ids<1, 50>, example ["9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a11"];
        /// Must be true, since a release cannot be undone.
        expected confirm: Flag, example true;
    }
}

/// What to release.
pub(crate) struct Request {
    /// The ids of our rows, which the body calls `phone_number_ids`; not Telnyx's ids.
    pub(crate) ids: Vec<Uuid>,
}

impl Request {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        let body = input.read::<Body>();
        let mut seen = HashSet::new();
        for (index, id) in body.iter().flat_map(|body| &body.phone_number_ids).enumerate() {
            if !seen.insert(id) {
                input.item_breaks(&EACH_ID_ONCE, index);
            }
        }
        let body = input.finish(body)?;
        if body.confirm == Some(true) { Ok(Self { ids: body.phone_number_ids }) } else { Err(Error::ConfirmationRequired) }
    }
}
