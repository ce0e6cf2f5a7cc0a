//! The Lambda binary of `phone-numbers-reconcile`. The code is in `lib.rs`.

use phone_numbers_reconcile::Reconcile;

// A Lambda function handles one event at a time, so more threads would only cost memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::lambda::run_background::<Reconcile>().await
}
