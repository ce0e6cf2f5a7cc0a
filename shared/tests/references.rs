//! Properties of a purchase's reference: it is written into orders and read back from numbers, years later.

use proptest::prelude::*;
use shared::model::Reference;
use uuid::Uuid;

fn any_uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

proptest! {
    #[test]
    fn a_reference_is_read_as_it_was_written(
        deployment in proptest::option::of("[A-Za-z0-9][A-Za-z0-9-]{0,127}"), agency_id in any_uuid(), purchase_id in any_uuid(),
    ) {
        let reference = Reference { deployment, agency_id, purchase_id };
        prop_assert_eq!(reference.to_string().parse(), Ok(reference));
    }

    #[test]
    fn a_text_that_is_read_as_a_reference_names_what_it_contains(
        text in prop_oneof![any::<String>(), "pn:[a-z0-9:-]{0,20}(:?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}){2}"],
    ) {
        if let Ok(reference) = text.parse::<Reference>() {
            let written = reference.to_string();
            prop_assert_eq!(written.replace('-', ""), text.replace('-', "").to_ascii_lowercase());
            prop_assert_eq!(written.parse(), Ok(reference));
        }
    }
}
