//! The Lambda binary of `phone-numbers-assign`.

use phone_numbers_assign::Assign;

// A function serves one request at a time: more threads only cost.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::lambda::run::<Assign>().await
}
