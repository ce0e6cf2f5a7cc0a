//! Certificates for servers on this machine.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::postgres::Certificate;

/// A certificate authority that was made here.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one of this name.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        Ok(Self { pem: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate of a server with one name.
    ///
    /// # Errors
    /// If it is not a name, or there is no randomness.
    pub fn certify(&self, name: &str) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([name.to_owned()])?;
        Ok(Certificate { chain: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}
