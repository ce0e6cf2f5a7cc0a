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

/// The authorities of Amazon Trust Services, to one of which the certificates of AWS' endpoints lead:
/// <https://www.amazontrust.com/repository/>. Five instead of the system's hundred and more, which every cold start would parse.
const AMAZON: &[u8] = include_bytes!("amazon_roots.pem");

/// Certificates in PEM that a TLS library takes without an error: those of a file, or else Amazon's.
pub(crate) fn amazon_or(file: Option<&str>) -> Result<Vec<u8>, Source> {
    let Some(path) = file else { return Ok(AMAZON.to_vec()) };
    let unusable = |error: &dyn std::fmt::Display| format!("{path} cannot be used: {error}");
    let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"it holds no certificate").into()) } else { Ok(pem) }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fmt::Write as _;

    use ring::digest::{SHA256, digest};

    use super::*;

    /// SHA-256 of each certificate, as Amazon publishes it.
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn the_built_in_authorities_of_amazon_are_those_that_it_publishes() {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&amazon_or(None).unwrap()).map(Result::unwrap).collect();
        let found: Vec<_> = certificates.iter().map(|certificate| hex(digest(&SHA256, certificate).as_ref())).collect();
        assert_eq!(found, FINGERPRINTS);
    }

    #[test]
    fn a_file_of_authorities_that_cannot_be_used_is_an_error_instead_of_a_panic() {
        for (text, expected) in [("# nobody", "no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "")] {
            let path = std::env::temp_dir().join(format!("phone-numbers-authorities-{}", uuid::Uuid::new_v4()));
            std::fs::write(&path, text).unwrap();
            let error = amazon_or(path.to_str()).unwrap_err().to_string();
            std::fs::remove_file(&path).unwrap();
            assert!(error.contains("cannot be used") && error.contains(expected), "{error}");
        }
        assert!(amazon_or(Some("/absent.pem")).is_err());
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}
