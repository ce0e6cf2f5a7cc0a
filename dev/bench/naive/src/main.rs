//! What phone-numbers-list does, as one writes it first: the multi-threaded runtime, the AWS configuration that looks everywhere,
//! the system's certificate authorities, one secret after the other, a pool.

use deadpool_postgres::{Manager, Pool};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use lambda_http::{Body, Error, Request, Response, run, service_fn, tracing};
use replay::Replay;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio_postgres_rustls::MakeRustlsConnect;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

struct Function {
    pool: Pool,
    key: DecodingKey,
    replay: OnceCell<Replay>,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let function = &Function::new().await?;
    run(service_fn(async move |request: Request| function.answer(request).await)).await
}

impl Function {
    async fn new() -> Result<Self, Error> {
        let secrets = aws_sdk_secretsmanager::Client::new(&aws_config::load_from_env().await);
        let login = secret(&secrets, "DATABASE_SECRET_ID").await?;
        let key = secret(&secrets, "JWT_SECRET_ID").await?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let pool = Pool::builder(Manager::new(login.parse()?, MakeRustlsConnect::new(tls))).build()?;
        Ok(Self { pool, key: DecodingKey::from_secret(key.as_bytes()), replay: OnceCell::new() })
    }

    async fn answer(&self, request: Request) -> Result<Response<Body>, Error> {
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[std::env::var("JWT_AUDIENCE")?]);
        validation.set_issuer(&[std::env::var("JWT_ISSUER")?]);
        let claims = decode::<Claims>(token.unwrap_or_default(), &self.key, &validation)?.claims;
        tracing::info!(user = claims.sub, "listing");
        let client = self.pool.get().await?;
        // The pool has one connection as long as requests come one at a time.
        let replay = self.replay.get_or_try_init(async || Replay::prepare(&client).await).await?;
        let body = replay.body(&client).await?;
        Ok(Response::builder().header("content-type", "application/json").body(Body::Text(body))?)
    }
}

async fn secret(client: &aws_sdk_secretsmanager::Client, setting: &str) -> Result<String, Error> {
    let answer = client.get_secret_value().secret_id(std::env::var(setting)?).send().await?;
    Ok(answer.secret_string.unwrap_or_default())
}
