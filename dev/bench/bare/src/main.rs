//! What phone-numbers-list asks Postgres, over the same kind of connection and with as little else as possible: no secrets, no
//! tokens, no pool, no settings, no log.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use replay::Replay;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::IgnoredAny;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

/// An answer in the format of API Gateway.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    headers: Headers,
    body: String,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Headers {
    content_type: &'static str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = connect().await?;
    let replay = Replay::prepare(&client).await?;
    let (client, replay) = (&client, &replay);
    lambda_runtime::run(service_fn(async move |_: LambdaEvent<IgnoredAny>| {
        let body = replay.body(client).await?;
        Ok::<_, Error>(Answer { status_code: 200, headers: Headers { content_type: "application/json" }, body, is_base64_encoded: false })
    }))
    .await
}

async fn connect() -> Result<Client, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("DATABASE_CA_FILE")?)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = MakeRustlsConnect::new(tls.with_root_certificates(roots).with_no_client_auth());
    let (client, connection) = tokio_postgres::connect(&std::env::var("DATABASE_URL")?, tls).await?;
    tokio::spawn(connection);
    Ok(client)
}
