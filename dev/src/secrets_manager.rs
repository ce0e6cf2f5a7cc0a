//! A fake AWS Secrets Manager: `GetSecretValue` in AWS JSON 1.1 over HTTP or HTTPS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::listener::Listener;
use crate::postgres::Certificate;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const AWS_JSON: &str = "application/x-amz-json-1.1";
/// The access key in [`environment`].
const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";

/// A fake AWS Secrets Manager. It answers until it is dropped.
#[derive(Debug)]
pub struct SecretsManager {
    listener: Listener,
    shared: Arc<Shared>,
}

/// The response to a request for a secret.
#[derive(Debug, Clone)]
pub enum SecretResponse {
    /// With this text as `SecretString`.
    Text(String),
    /// With an error of this HTTP status and name.
    Error(u16, &'static str),
    /// No response.
    Silence,
}

#[derive(Debug, Default)]
struct Shared {
    responses: Mutex<HashMap<String, SecretResponse>>,
    reads: Mutex<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
}

impl SecretsManager {
    /// Starts one without secrets, on a free port.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        Ok(Self { listener: Listener::start(0, router(&shared)).await?, shared })
    }

    /// Starts one without secrets over TLS, with a certificate for `localhost`.
    ///
    /// # Errors
    /// If no port is free, or the certificate cannot be used.
    pub async fn start_over_tls(certificate: &Certificate) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        Ok(Self { listener: Listener::start_over_tls(router(&shared), certificate).await?, shared })
    }

    /// The endpoint URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Sets the response for a secret.
    pub fn set(&self, name: &str, response: SecretResponse) {
        lock(&self.shared.responses).insert(name.to_owned(), response);
    }

    /// Sets the text of a secret.
    pub fn set_text(&self, name: &str, text: &str) {
        self.set(name, SecretResponse::Text(text.to_owned()));
    }

    /// Removes a secret: it is answered with `ResourceNotFoundException`.
    pub fn remove(&self, name: &str) {
        lock(&self.shared.responses).remove(name);
    }

    /// The number of requests for a secret.
    #[must_use]
    pub fn reads(&self, name: &str) -> usize {
        lock(&self.shared.reads).iter().filter(|read| *read == name).count()
    }
}

/// The environment variables with which a function reads its secrets from the server at `url`.
#[must_use]
pub fn environment(url: &str) -> [(&'static str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", "an example"),
    ]
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(Arc::clone(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header(TARGET) != "secretsmanager.GetSecretValue" || header(CONTENT_TYPE) != AWS_JSON {
        return error(400, "UnknownOperationException");
    }
    if !header(AUTHORIZATION).starts_with(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/")) {
        return error(403, "UnrecognizedClientException");
    }
    let Ok(GetSecretValue { secret_id }) = serde_json::from_slice(&body) else {
        return error(400, "SerializationException");
    };
    lock(&shared.reads).push(secret_id.clone());
    let response = lock(&shared.responses).get(&secret_id).cloned();
    match response {
        Some(SecretResponse::Text(text)) => {
            ([(CONTENT_TYPE, AWS_JSON)], Json(json!({"Name": secret_id, "SecretString": text}))).into_response()
        }
        Some(SecretResponse::Error(status, name)) => error(status, name),
        Some(SecretResponse::Silence) => std::future::pending().await,
        None => error(400, "ResourceNotFoundException"),
    }
}

fn error(status: u16, name: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, AWS_JSON)], Json(json!({"__type": name, "Message": "The fake Secrets Manager is set to answer this."})))
        .into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
