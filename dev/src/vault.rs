//! A Secrets Manager for one machine: `GetSecretValue` in AWS JSON 1.1 over HTTP.

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

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const AWS_JSON: &str = "application/x-amz-json-1.1";
/// Of the credentials in [`environment`].
const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";

/// Knows what it was told to keep, and answers until it is dropped.
#[derive(Debug)]
pub struct Vault {
    listener: Listener,
    shelves: Arc<Shelves>,
}

/// How a secret is answered for.
#[derive(Debug, Clone)]
pub enum Kept {
    /// With its text.
    Text(String),
    /// With an error: its status and its name.
    Error(u16, &'static str),
    /// Not at all.
    Silence,
}

#[derive(Debug, Default)]
struct Shelves {
    kept: Mutex<HashMap<String, Kept>>,
    reads: Mutex<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
}

impl Vault {
    /// An empty one, on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let shelves = Arc::<Shelves>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelves));
        Ok(Self { listener: Listener::start(0, router).await?, shelves })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// From now on, answers for a secret in this way.
    pub fn keep(&self, name: &str, kept: Kept) {
        lock(&self.shelves.kept).insert(name.to_owned(), kept);
    }

    /// Keeps a secret's text.
    pub fn keep_text(&self, name: &str, text: &str) {
        self.keep(name, Kept::Text(text.to_owned()));
    }

    /// Forgets a secret: there is none of that name.
    pub fn lose(&self, name: &str) {
        lock(&self.shelves.kept).remove(name);
    }

    /// How often a secret was asked for.
    #[must_use]
    pub fn reads(&self, name: &str) -> usize {
        lock(&self.shelves.reads).iter().filter(|read| *read == name).count()
    }
}

/// What a function needs in its environment to read its secrets from the vault at `url`.
#[must_use]
pub fn environment(url: &str) -> [(&'static str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", "an example"),
    ]
}

async fn answer(State(shelves): State<Arc<Shelves>>, headers: HeaderMap, body: Bytes) -> Response {
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
    lock(&shelves.reads).push(secret_id.clone());
    let kept = lock(&shelves.kept).get(&secret_id).cloned();
    match kept {
        Some(Kept::Text(text)) => ([(CONTENT_TYPE, AWS_JSON)], Json(json!({"Name": secret_id, "SecretString": text}))).into_response(),
        Some(Kept::Error(status, name)) => error(status, name),
        Some(Kept::Silence) => std::future::pending().await,
        None => error(400, "ResourceNotFoundException"),
    }
}

fn error(status: u16, name: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, AWS_JSON)], Json(json!({"__type": name, "Message": "The vault of this machine says so."}))).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
