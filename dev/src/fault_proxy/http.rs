//! A connection to an HTTP server, exchange by exchange.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::state::{Injection, Moment, State};

/// Serves a client until it disconnects or a fault closes the connection.
pub(super) async fn pass(stream: TcpStream, server: Arc<[SocketAddr]>, state: Arc<State>) {
    // Spawned, so that an exchange completes even if the client disconnects.
    let service = service_fn(|request| {
        let (server, state) = (Arc::clone(&server), Arc::clone(&state));
        async move { tokio::spawn(within_the_gate(state, request, server)).await? }
    });
    // A closed connection is not an error.
    let _ = stream.set_nodelay(true);
    let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn within_the_gate(state: Arc<State>, request: Request<Incoming>, server: Arc<[SocketAddr]>) -> Result<Response<Full<Bytes>>> {
    let mut gate = state.gate.subscribe();
    tokio::select! {
        _ = gate.changed() => bail!("the proxy closed the connection"),
        response = exchange(&state, request, &server) => response,
    }
}

/// One request and its answer. An error closes the client's connection without an answer.
async fn exchange(state: &State, request: Request<Incoming>, server: &[SocketAddr]) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, Full::new(body.collect().await?.to_bytes()));
    let Some(Injection { moment, fault }) = state.record(name(&request), false) else {
        return forward(request, server).await;
    };
    if moment == Moment::After {
        // The fault comes even if the server failed.
        let _ = forward(request, server).await;
    }
    state.execute(fault).await;
    bail!("a fault came")
}

/// Forwards a request over a new connection, so that only the server decides how the exchange ends.
async fn forward(mut request: Request<Full<Bytes>>, server: &[SocketAddr]) -> Result<Response<Full<Bytes>>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    // The header belongs to one connection.
    request.headers_mut().remove(CONNECTION);
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    for header in [CONNECTION, TRANSFER_ENCODING] {
        head.headers.remove(header);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

/// The method and the path, with a word in place of each id.
fn name<B>(request: &Request<B>) -> String {
    let is_number = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let shown = |segment| if is_number(segment) || Uuid::try_parse(segment).is_ok() { "{id}" } else { segment };
    let path: Vec<_> = request.uri().path().split('/').map(shown).collect();
    format!("{} {}", request.method(), path.join("/"))
}
