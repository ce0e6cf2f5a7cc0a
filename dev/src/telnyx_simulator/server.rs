//! HTTP: accepts connections, injects faults, records the exchanges, and cuts connections.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request as HttpRequest, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, RETRY_AFTER},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    control,
    distortion::distorted,
    errors::{self, Problem},
    faults::{Fault, FaultKind},
    journal::Exchange,
    progress,
    query::Query,
    rate_limit::Rate,
    routes::{self, Answer, Request},
    service::Service,
    state::SimulatorState,
};
use crate::browsers;

/// Why a request gets no answer. hyper closes the connection if the service fails.
#[derive(Debug)]
enum Unanswered {
    Cut,
    Lost(hyper::Error),
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cut => f.write_str("the connection is cut on purpose"),
            Self::Lost(error) => write!(f, "the request did not arrive: {error}"),
        }
    }
}

impl std::error::Error for Unanswered {}

/// Serves until the task is aborted, which also closes its connections.
pub(super) async fn serve(listener: TcpListener, port: u16, shared: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => { connections.spawn(serve_connection(stream, port, Arc::clone(&shared))); }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, port: u16, shared: Arc<Service>) {
    let service = service_fn(|request| respond(Arc::clone(&shared), port, request));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "telnyx simulator: connection ended");
    }
}

async fn respond(shared: Arc<Service>, port: u16, request: HttpRequest<Incoming>) -> Result<Response<Full<Bytes>>, Unanswered> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(Unanswered::Lost)?.to_bytes();
    let path = head.uri.path().to_owned();
    let mut segments = path.split('/').skip(1);
    match segments.next() {
        Some("_control") if !is_permitted(&head.headers, port) => {
            let error = json!({ "error": "controls take no requests of web pages, and only those for this machine's own address" });
            Ok(response(403, error.to_string(), HeaderMap::new()))
        }
        Some("_control") => {
            let rest: Vec<_> = segments.map(decoded).collect();
            let rest: Vec<_> = rest.iter().map(String::as_str).collect();
            let (status, body) = control::answer(&mut shared.state(), &shared.public_key(), head.method.as_str(), &rest, &body);
            Ok(response(status, body.to_string(), HeaderMap::new()))
        }
        Some("v2") => exchange(&shared, &head, &body).await,
        _ => Ok(response(404, Problem::not_found().body().to_string(), HeaderMap::new())),
    }
}

/// Whether a request for the controls comes from a program on this machine. A web page must not change them.
fn is_permitted(headers: &HeaderMap, port: u16) -> bool {
    browsers::names_this_machine(headers, port) && !headers.contains_key(ORIGIN)
}

/// One request to `/v2`: executes it, injects a fault, and answers.
async fn exchange(shared: &Service, head: &Parts, body: &[u8]) -> Result<Response<Full<Bytes>>, Unanswered> {
    let (answer, fault, retry_after) = {
        let mut state = shared.state();
        progress::settle(&mut state);
        let fault = state.faults.take(head.method.as_str(), head.uri.path());
        let answer = execute(&mut state, head, body, fault.as_ref());
        record(&mut state, head, body, answer.as_ref(), fault.as_ref());
        (answer, fault, state.settings.retry_after.clone())
    };
    let lost = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::DropAfter);
    let Some(answer) = answer.filter(|_| !lost) else {
        return Err(Unanswered::Cut);
    };
    let mut headers = answer.rate.headers();
    if let Some(retry_after) = retry_after.filter(|_| answer.status == 429).and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(RETRY_AFTER, retry_after);
    }
    let Some(fault) = fault else {
        return Ok(response(answer.status, answer.body.to_string(), headers));
    };
    for (name, value) in fault.added_headers() {
        headers.insert(name, value);
    }
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    Ok(response(answer.status, distorted(answer.body, &fault), headers))
}

/// Executes a request. `None` if the connection is cut before.
fn execute(state: &mut SimulatorState, head: &Parts, body: &[u8], fault: Option<&Fault>) -> Option<Answer> {
    match fault {
        Some(fault) if fault.kind == FaultKind::DropBefore => None,
        Some(fault) if fault.replaces_answer() => Some(injected_answer(state, fault)),
        _ => Some(routes::answer(state, request(head, body))),
    }
}

fn injected_answer(state: &SimulatorState, fault: &Fault) -> Answer {
    let status = fault.status.unwrap_or(500);
    let code = fault.code.as_deref().unwrap_or_else(|| errors::usual_code(status));
    let problem = Problem::new(status, code, "This answer was injected through /_control/faults.");
    Answer { status, body: problem.body(), rate: Rate::uncounted(&state.settings, status) }
}

/// A segment of a path without percent-encoding.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn request(head: &Parts, body: &[u8]) -> Request {
    Request {
        method: head.method.to_string(),
        segments: head.uri.path().split('/').skip(2).map(decoded).collect(),
        query: Query::parse(head.uri.query().unwrap_or_default()),
        authorization: head.headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        body: if body.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(body).map_err(|_| Problem::bad_request("The request body is not valid JSON."))
        },
    }
}

fn record(state: &mut SimulatorState, head: &Parts, body: &[u8], answer: Option<&Answer>, fault: Option<&Fault>) {
    let lost = fault.is_some_and(|fault| fault.kind == FaultKind::DropAfter);
    let answer = answer.filter(|_| !lost);
    let exchange = Exchange {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        request_body: serde_json::from_slice(body).unwrap_or_default(),
        status: answer.map(|answer| answer.status),
        response_body: Value::Null,
        faulted: fault.is_some() || shows_set_deadline(state, head),
    };
    state.journal.add(exchange, answer.map(|answer| answer.body.to_string()).unwrap_or_default());
}

/// Whether the answer may show `documents_deadline`, which need not be a date.
fn shows_set_deadline(state: &SimulatorState, head: &Parts) -> bool {
    state.settings.documents_deadline.is_some() && head.uri.path().starts_with("/v2/number_order_phone_numbers")
}

fn response(status: u16, body: String, headers: HeaderMap) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    // `/_control` accepts only 100 to 599.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response.headers_mut().extend(headers);
    response
}
