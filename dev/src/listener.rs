//! HTTP servers on this machine's loopback address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::serve::ListenerExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::postgres::Certificate;

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    url: String,
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
        let (listener, address) = bind(port).await?;
        let router = router(address.port());
        let task = tokio::spawn(async move {
            // It ends only when it is aborted.
            let _ = axum::serve(listener.tap_io(|connection| send_at_once(connection)), router).await;
        });
        Ok(Self { url: format!("http://{address}"), task })
    }

    /// Serves `router` over TLS with a certificate for `localhost`, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port is free, or the certificate cannot be used.
    pub async fn start_over_tls(router: Router, certificate: &Certificate) -> Result<Self> {
        let (listener, address) = bind(0).await?;
        let acceptor = TlsAcceptor::from(Arc::new(tls(certificate)?));
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                send_at_once(&connection);
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends the connection.
                    let connection = acceptor.accept(connection).await?;
                    let served = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
                    served.map_err(std::io::Error::other)
                });
            }
        });
        Ok(Self { url: format!("https://localhost:{}", address.port()), task })
    }

    /// Such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

/// Has a connection send small messages at once. Otherwise they wait until the client has acknowledged the ones before, for which it may
/// take 40 ms.
fn send_at_once(connection: &TcpStream) {
    // An error means that the connection has ended, which shows when it is used.
    let _ = connection.set_nodelay(true);
}

async fn bind(port: u16) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| format!("listening on 127.0.0.1:{port}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn tls(certificate: &Certificate) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect::<Result<_, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?)?)
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
