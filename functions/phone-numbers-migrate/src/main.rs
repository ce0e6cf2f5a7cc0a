//! The Lambda binary of `phone-numbers-migrate`. The code is in `lib.rs`.

use lambda_http::lambda_runtime;
use phone_numbers_migrate::Migrate;
use shared::config::{Config, Logging};
use shared::lambda::init_log;

// A Lambda function handles one event at a time, so more threads would only cost memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    init_log(&Logging::from_env());
    let migrate = &Migrate::new(Config::from_env());
    lambda_runtime::run(lambda_runtime::service_fn(|event| migrate.handle(event))).await
}
