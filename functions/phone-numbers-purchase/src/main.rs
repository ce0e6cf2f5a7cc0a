//! The Lambda binary of `phone-numbers-purchase`.

use phone_numbers_purchase::Purchase;

// A function serves one request at a time: more threads only cost.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::lambda::run::<Purchase>().await
}
