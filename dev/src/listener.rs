//! HTTP servers on this machine's loopback address.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Serves `router` on `port` of 127.0.0.1; 0 means any free one.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(port: u16, router: Router) -> Result<Self> {
        Self::start_with(port, |_| router).await
    }

    /// As [`Listener::start`], with a router that depends on the port.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start_with(port: u16, router: impl FnOnce(u16) -> Router) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("listening on 127.0.0.1:{port}"))?;
        let address = listener.local_addr()?;
        let router = router(address.port());
        let task = tokio::spawn(async move {
            // It ends only when it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    /// Such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
