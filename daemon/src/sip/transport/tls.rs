//! Certificates for SIP over TLS: read at start, and again when a file has changed.

#[cfg(test)]
mod tests;
mod validity;

use jiff::{Timestamp, ToSpan};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio_rustls::TlsAcceptor;

/// How long before its end a certificate is warned of.
const WARN_DAYS: i64 = 14;

/// The files that TLS needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, those that issued it behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who issues certificates of clients; where set, clients must have one.
    pub client_ca: Option<PathBuf>,
}

/// Why there is no TLS. Names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {cause}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: no {what} in PEM", file.display())]
    Nothing {
        /// The file.
        file: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The key is not that of the certificate, or either cannot be used.
    #[error("{} with the key {}: {cause}", certificate.display(), key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What rustls says.
        cause: String,
    },
    /// Certificates of clients cannot be checked against this file.
    #[error("{}: {cause}", file.display())]
    ClientCa {
        /// The file.
        file: PathBuf,
        /// What rustls says.
        cause: String,
    },
}

impl TlsFiles {
    /// Whether TLS could be served with these files; warns of a certificate that has ended or soon will.
    ///
    /// # Errors
    /// [`TlsError`] names the file and the cause.
    pub fn check(&self) -> Result<(), TlsError> {
        self.load().map(|_| ())
    }

    fn load(&self) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate)?;
        if let Some(end) = validity::not_after(&chain[0]) {
            warn_of_end(&self.certificate, end, Timestamp::now());
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| fault(&self.key, error, "private key"))?;
        let provider = Arc::new(crypto::ring::default_provider());
        let pair = |error: rustls::Error| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            cause: explain(&error),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let refused = |cause: String| TlsError::ClientCa { file: file.clone(), cause };
                let mut roots = RootCertStore::empty();
                for root in certificates(file)? {
                    roots.add(root).map_err(|error| refused(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder
                    .with_client_cert_verifier(verifier.build().map_err(|error| refused(error.to_string()))?)
            }
        };
        builder.with_single_cert(chain, key).map_err(pair)
    }

    /// When each file was changed last.
    fn stamps(&self) -> Vec<Option<SystemTime>> {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let changed = |file: &PathBuf| file.metadata().and_then(|data| data.modified()).ok();
        files.into_iter().flatten().map(changed).collect()
    }
}

/// The server's side of TLS.
#[derive(Debug)]
pub(super) struct Certificates {
    files: TlsFiles,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    stamps: Vec<Option<SystemTime>>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let config = Arc::new(files.load()?);
        Ok(Self { files, current: Mutex::new(Current { stamps, config }) })
    }

    /// For the next handshake: with the files as they are now, or, while those cannot be used, as they were.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.files.stamps();
        if stamps != current.stamps {
            current.stamps = stamps;
            match self.files.load() {
                Ok(config) => {
                    current.config = Arc::new(config);
                    tracing::info!(file = %self.files.certificate.display(), "the TLS certificate was read again");
                }
                Err(error) => {
                    tracing::error!(%error, "the TLS files changed and cannot be used; the old ones stay");
                }
            }
        }
        TlsAcceptor::from(Arc::clone(&current.config))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "certificate";
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| fault(file, error, WHAT))?;
    if found.is_empty() { Err(TlsError::Nothing { file: file.to_owned(), what: WHAT }) } else { Ok(found) }
}

fn fault(file: &Path, error: PemError, what: &'static str) -> TlsError {
    let file = file.to_owned();
    match error {
        PemError::Io(cause) => TlsError::Unreadable { file, cause },
        _ => TlsError::Nothing { file, what },
    }
}

fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_owned(),
        other => other.to_string(),
    }
}

fn warn_of_end(file: &Path, end: Timestamp, now: Timestamp) {
    let file = file.display();
    if end <= now {
        tracing::warn!(%file, %end, "the TLS certificate has expired: gateways will refuse it");
    } else if now.checked_add((24 * WARN_DAYS).hours()).is_ok_and(|soon| end <= soon) {
        tracing::warn!(%file, %end, "the TLS certificate expires soon");
    }
}
