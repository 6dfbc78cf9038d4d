//! Who issues certificates, for a test.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority of the test's own.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

/// A certificate and its private key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// An authority that nobody knows yet.
    ///
    /// # Panics
    /// When the system gives no random numbers.
    pub fn new() -> Self {
        let mut wanted = CertificateParams::default();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("keys can be made");
        let root = wanted.self_signed(&key).expect("a certificate can be made").pem();
        Self { issuer: Issuer::new(wanted, key), root }
    }

    /// Its own certificate, in PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Issues a certificate for `name`.
    ///
    /// # Panics
    /// As [`Authority::new`].
    pub fn issue(&self, name: &str) -> Issued {
        let wanted = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = wanted.signed_by(&key, &self.issuer).expect("a certificate can be made").pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
