//! The Lambda binary of `phone-numbers-reconcile`; what it does is in the library beside it.

use phone_numbers_reconcile::Reconcile;

// A function serves one event at a time: more threads only cost.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::lambda::run_background::<Reconcile>().await
}
