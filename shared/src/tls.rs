//! One TLS stack with one crypto provider, passed explicitly: rustls on ring.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::Authorities;
use crate::error::Source;

/// The systems' certificate stores: that of Amazon Linux and Fedora, that of Debian.
const SYSTEM_STORES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// A client that verifies certificate and host name.
pub(crate) fn client(authorities: &Authorities) -> Result<ClientConfig, Source> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authorities)?)
        .with_no_client_auth())
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, Source> {
    match authorities {
        Authorities::Web => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
        Authorities::System => {
            let store = SYSTEM_STORES.into_iter().find(|path| Path::new(path).exists());
            bundle(store.ok_or("this system has no store of certificate authorities")?)
        }
        Authorities::File(path) => bundle(path),
    }
}

/// The certificates of a PEM file. One that cannot be used is skipped, and does not hide the others.
fn bundle(path: &str) -> Result<RootCertStore, Source> {
    let unreadable = |error| format!("{path} cannot be read: {error}");
    let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    let (usable, ignored) = roots.add_parsable_certificates(certificates);
    if ignored > 0 {
        tracing::warn!(path, usable, ignored, "some certificate authorities cannot be used");
    }
    if usable == 0 {
        return Err(format!("{path} holds no certificate").into());
    }
    Ok(roots)
}
