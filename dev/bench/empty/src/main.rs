//! A function that does nothing: what every function on Lambda costs.

use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::run(service_fn(async |_: Request| Ok::<_, Error>(Response::new(Body::Text("{}".to_owned()))))).await
}
