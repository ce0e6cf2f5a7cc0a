//! The HTTP client for servers on this machine.

use std::sync::Arc;

use anyhow::Result;

/// Returns a builder of clients that use no proxy and trust no certificate authority.
///
/// Loading the system's authorities takes about a hundred milliseconds in a debug build, and a test makes several clients.
///
/// # Errors
/// If the versions of TLS are not supported by the provider.
pub fn client_builder() -> Result<reqwest::ClientBuilder> {
    // A provider of its own: this does not depend on one that is installed for the process.
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy())
}

/// Returns a client with the defaults of [`client_builder`].
///
/// # Errors
/// As [`client_builder`].
pub fn client() -> Result<reqwest::Client> {
    Ok(client_builder()?.build()?)
}
