//! Many processes of a function at once, as `cargo dev instances` measures them.

use dev::bench::instances::{Busy, Fixture, Workload, measure};

use crate::support::product::programs;

#[tokio::test]
async fn eight_processes_of_list_and_eight_of_purchase_answer_every_call_and_hold_the_documented_connections() {
    let fixture = Fixture::start(programs().await).await.unwrap();
    let eight = |workload| measure(&fixture, workload, 8, Busy::Calls(5));
    // Four numbers need the second connection.
    let purchase = Workload::Purchase { numbers: 4, order_delay_ms: 0 };
    let (listed, bought) = tokio::join!(eight(Workload::List), eight(purchase));
    for step in [listed.unwrap(), bought.unwrap()] {
        assert_eq!(step.faults(), Vec::<String>::new());
        assert_eq!(step.calls, 8 * 5);
    }
}
