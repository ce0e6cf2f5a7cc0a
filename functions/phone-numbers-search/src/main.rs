//! The Lambda binary of `phone-numbers-search`.

use phone_numbers_search::Search;

// A function serves one request at a time: more threads only cost.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::lambda::run::<Search>().await
}
