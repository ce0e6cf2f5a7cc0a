//! Serves the functions over HTTP like API Gateway's HTTP API, and each on a function URL.

mod event;
mod response;

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use uuid::Uuid;

use self::event::Source;
use crate::lambda::functions::{Failure, Function};
use crate::listener::Listener;
use crate::openapi;

/// API Gateway's limit.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// Lambda's limit, including the event's other members and Base64.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Starts the HTTP API on `port` with the routes of `functions` and, besides, the document of the API and a page that shows it.
///
/// # Errors
/// If the port is taken.
pub async fn serve_api(port: u16, functions: &[Function]) -> Result<Listener> {
    let functions: Arc<[Function]> = functions.into();
    let router = Router::new()
        .route(openapi::PATH, get(async || ([(CONTENT_TYPE, "application/json")], openapi::text())))
        .route(openapi::PAGE_PATH, get(async || Html(openapi::PAGE)))
        .fallback(api)
        .with_state(functions);
    Listener::start(port, router).await
}

/// Starts the function URL of `function`, on a free port.
///
/// # Errors
/// If no port is free.
pub async fn serve_url(function: &Function) -> Result<Listener> {
    let router = Router::new().fallback(function_url).with_state(function.clone());
    Listener::start(0, router).await
}

async fn api(State(functions): State<Arc<[Function]>>, request: Request) -> Response {
    let Some((function, route_key)) = find(&functions, request.method().as_str(), request.uri().path()) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    forward(&function, &Source::Api { route_key }, request).await
}

async fn function_url(State(function): State<Function>, request: Request) -> Response {
    forward(&function, &Source::FunctionUrl, request).await
}

/// The function for a request, and the route's key. A route with the method has priority over one for `ANY`.
fn find(functions: &[Function], method: &str, path: &str) -> Option<(Function, String)> {
    [method, "ANY"].iter().find_map(|&method| {
        functions.iter().find_map(|function| {
            let routes = &function.definition().routes;
            let route = routes.iter().find(|route| route.method == method && route.path == path)?;
            Some((function.clone(), route.key()))
        })
    })
}

async fn forward(function: &Function, source: &Source, request: Request) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let mut response = answer(function, source, request, &request_id).await;
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(source.request_id_header(), id);
    }
    response
}

async fn answer(function: &Function, source: &Source, request: Request, request_id: &str) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event::event(source, &parts, &body, request_id).to_string();
    if event.len() > MAX_EVENT_BYTES {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    match function.invoke(request_id.to_owned(), Bytes::from(event)).await {
        Ok(answer) => response::response(&answer).unwrap_or_else(|error| {
            eprintln!("{}: {error:#}", function.definition().name);
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Err(Failure::Died) => message(StatusCode::BAD_GATEWAY, "Internal Server Error"),
        Err(Failure::Reported) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        Err(Failure::TimedOut) => message(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
        Err(Failure::Unavailable) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// An answer of the gateway itself, without CORS headers, as in AWS.
fn message(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(serde_json::json!({"message": text}))).into_response()
}

/// Checks that every function answers a preflight request.
///
/// # Errors
/// If one does not.
pub async fn check(client: &reqwest::Client, urls: impl IntoIterator<Item = (&str, &str)>) -> Result<()> {
    for (name, url) in urls {
        let request = client.request(reqwest::Method::OPTIONS, url);
        let answer = request.send().await.with_context(|| format!("asking {name}"))?;
        anyhow::ensure!(!answer.status().is_server_error(), "{name} answered {} to OPTIONS", answer.status());
    }
    Ok(())
}
