//! The Lambda Runtime API, as far as the runtimes use it. Every process has an endpoint of its own, identified by the first
//! segment of the path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::listener::Listener;

/// Lambda's limit of an answer, which includes Base64 and JSON's escapes.
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// The server of the endpoints. It stops when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    listener: Listener,
    processes: Processes,
}

type Processes = Arc<Mutex<HashMap<Uuid, Arc<Process>>>>;

/// The endpoint of one process.
#[derive(Debug)]
struct Process {
    /// The invocation that waits to be fetched. A process fetches one at a time.
    queue: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    /// The invocation in progress.
    current: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
}

/// A process's answer to an invocation.
#[derive(Debug)]
pub enum Answer {
    /// The body of its response.
    Response(Bytes),
    /// The body in which the runtime reported that the handler failed.
    Error(Bytes),
}

/// An event on its way to a process.
#[derive(Debug)]
struct Invocation {
    request_id: String,
    function_arn: String,
    event: Bytes,
    timeout: Duration,
    fetched: oneshot::Sender<()>,
    answer: oneshot::Sender<Answer>,
}

/// The sender's side of an invocation.
#[derive(Debug)]
pub struct Pending {
    /// Resolves when the process has fetched the event. Its timeout starts then.
    pub fetched: oneshot::Receiver<()>,
    /// Resolves when the process has answered.
    pub answer: oneshot::Receiver<Answer>,
}

/// The endpoint from which one process fetches events. It is removed when dropped.
#[derive(Debug)]
pub struct Endpoint {
    id: Uuid,
    url: String,
    queue: mpsc::Sender<Invocation>,
    processes: Processes,
}

impl RuntimeApi {
    /// Starts the server on a free port.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> Result<Self> {
        let processes = Processes::default();
        let router = Router::new()
            .route("/{process}/2018-06-01/runtime/invocation/next", get(next))
            .route("/{process}/2018-06-01/runtime/invocation/{request_id}/response", post(response))
            .route("/{process}/2018-06-01/runtime/invocation/{request_id}/error", post(error))
            .route("/{process}/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(MAX_ANSWER_BYTES))
            .with_state(Arc::clone(&processes));
        Ok(Self { listener: Listener::start(0, router).await?, processes })
    }

    /// A new endpoint, for one process.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let (sender, receiver) = mpsc::channel(1);
        let id = Uuid::new_v4();
        let process = Process { queue: tokio::sync::Mutex::new(receiver), current: Mutex::default() };
        lock(&self.processes).insert(id, Arc::new(process));
        let url = format!("{}/{id}", self.listener.url());
        Endpoint { id, url, queue: sender, processes: Arc::clone(&self.processes) }
    }
}

impl Endpoint {
    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Offers an event to the process. `timeout` starts when it is fetched. One event at a time.
    pub async fn invoke(&self, function_arn: &str, request_id: &str, event: Bytes, timeout: Duration) -> Pending {
        let (fetched, was_fetched) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let invocation =
            Invocation { request_id: request_id.to_owned(), function_arn: function_arn.to_owned(), event, timeout, fetched, answer };
        // The receiver lives as long as this endpoint is registered, which is as long as `self`.
        let _ = self.queue.send(invocation).await;
        Pending { fetched: was_fetched, answer: answered }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        lock(&self.processes).remove(&self.id);
    }
}

async fn next(State(processes): State<Processes>, Path(id): Path<Uuid>) -> Response {
    let Some(process) = find(&processes, id) else {
        return unknown();
    };
    let invocation = process.queue.lock().await.recv().await;
    let Some(Invocation { request_id, function_arn, event, timeout, fetched, answer }) = invocation else {
        return unknown();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", request_id.clone()),
        ("lambda-runtime-deadline-ms", deadline_ms(timeout).to_string()),
        ("lambda-runtime-invoked-function-arn", function_arn),
        ("lambda-runtime-trace-id", trace_id()),
        ("content-type", "application/json".to_owned()),
    ];
    *lock(&process.current) = Some((request_id, answer));
    // The sender may have given up. The process need not know.
    let _ = fetched.send(());
    (headers.into_iter().filter_map(header).collect::<HeaderMap>(), event).into_response()
}

async fn response(State(processes): State<Processes>, Path((id, request_id)): Path<(Uuid, String)>, body: Bytes) -> Response {
    finish(&processes, id, &request_id, Answer::Response(body))
}

async fn error(State(processes): State<Processes>, Path((id, request_id)): Path<(Uuid, String)>, body: Bytes) -> Response {
    finish(&processes, id, &request_id, Answer::Error(body))
}

/// The runtime reports why it cannot start, and then ends. Only its end is acted on.
async fn init_error(State(processes): State<Processes>, Path(id): Path<Uuid>, body: String) -> Response {
    if find(&processes, id).is_none() {
        return unknown();
    }
    eprintln!("a function failed to start: {body}");
    accepted()
}

fn finish(processes: &Processes, id: Uuid, request_id: &str, answer: Answer) -> Response {
    let Some(process) = find(processes, id) else {
        return unknown();
    };
    let current = lock(&process.current).take_if(|(current, _)| current == request_id);
    let Some((_, sender)) = current else {
        return unknown();
    };
    // The sender may have given up. The process need not know.
    let _ = sender.send(answer);
    accepted()
}

fn find(processes: &Processes, id: Uuid) -> Option<Arc<Process>> {
    lock(processes).get(&id).cloned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn header((name, value): (&'static str, String)) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
}

fn deadline_ms(timeout: Duration) -> u128 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + timeout).as_millis()
}

/// A trace id as of X-Ray: seconds since 1970, and 96 random bits.
fn trace_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("Root=1-{:08x}-{:024x};Sampled=0", now.as_secs(), Uuid::new_v4().as_u128() >> 32)
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response()
}

fn unknown() -> Response {
    let error = json!({"errorType": "InvalidRequestID", "errorMessage": "no such process or invocation"});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}
