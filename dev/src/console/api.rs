//! What the page asks the console: who can sign in, what an operator sees, whether a function is to be killed, and the
//! simulator's controls.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{self, Path};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::store::Finding;
use uuid::Uuid;

use super::state::State;
use crate::demo::{self, Agency, User};

type Shared = extract::State<Arc<State>>;

/// The address of the functions, and the demo's users with fresh tokens.
pub(super) async fn session(extract::State(state): Shared) -> Json<Value> {
    let user = |user: &User| {
        json!({
            "key": user.key,
            "id": user.id,
            "role": user.role,
            "email": user.email,
            "agency": user.agency.and_then(agency).map(|agency| agency.name),
            "token": state.issuer.token(user.id, user.email),
        })
    };
    Json(json!({
        "base_url": state.base_url,
        "agencies": demo::AGENCIES.iter().map(|agency| agency.name).collect::<Vec<_>>(),
        "users": demo::USERS.iter().map(user).collect::<Vec<_>>(),
    }))
}

/// The open findings, as `cargo dev findings` lists them.
pub(super) async fn findings(extract::State(state): Shared) -> Response {
    match state.store.open_findings().await {
        Ok(findings) => Json(json!({"findings": findings.iter().map(shown).collect::<Vec<_>>()})).into_response(),
        Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

pub(super) async fn kill(extract::State(state): Shared) -> Json<Value> {
    Json(json!({"armed": state.kill.is_armed()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetKill {
    armed: bool,
}

pub(super) async fn set_kill(extract::State(state): Shared, Json(SetKill { armed }): Json<SetKill>) -> Response {
    let done = if armed { state.kill.arm().await } else { state.kill.disarm().await };
    match done {
        Ok(()) => Json(json!({"armed": state.kill.is_armed()})).into_response(),
        Err(error) => failed(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

/// Forwards a request to the simulator's control of the same path.
pub(super) async fn control(extract::State(state): Shared, method: Method, Path(control): Path<String>, body: Bytes) -> Response {
    match state.controls.send(method, &control, body).await {
        Ok((status, body)) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => failed(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

/// An answer of the console that says why there is no other.
fn failed(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"error": error}))).into_response()
}

fn shown(finding: &Finding) -> Value {
    let observation = &finding.observation;
    json!({
        "id": finding.id,
        "kind": observation.kind.as_str(),
        "detail": observation.detail,
        "number": observation.number,
        "agency": observation.agency_id.map(|id| agency(id).map_or_else(|| id.to_string(), |agency| agency.name.to_owned())),
        "first_seen_at": finding.first_seen_at,
        "last_seen_at": finding.last_seen_at,
    })
}

fn agency(id: Uuid) -> Option<&'static Agency> {
    demo::AGENCIES.iter().find(|agency| agency.id == id)
}
