//! Trust stores and key stores: what is in them, whatever their format. Reads files; runs on a thread that may wait.

use std::io::Read;
use std::path::Path;

use config_def::Password;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use crate::certificate::describe;
use crate::jks::{JCEKS_MAGIC, Jks, MAGIC};
use crate::pem::{Section, sections};
use crate::settings::{Peer, Source, TlsSettings};

/// A trust store with every public CA is a fifth of a megabyte.
const MAX_STORE_BYTES: u64 = 16 * 1024 * 1024;

/// Who we are.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Whom we trust, and where that is written, for messages.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) roots: RootCertStore,
    /// A peer that shows one of these is trusted without a chain.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) place: String,
}

/// The certificates to trust.
pub(crate) fn trust(settings: &TlsSettings) -> Result<Trust, String> {
    let (certificates, place) = match &settings.truststore {
        None => match own_store(settings)? {
            Some(own) => own,
            None => return Ok(machine_trust()),
        },
        Some(Source::Inline { certificates, .. }) => {
            let place = "ssl.truststore.certificates";
            let found = pem_certificates(certificates.reveal()).map_err(|why| format!("{place}: {why}"))?;
            (found, place.to_owned())
        }
        Some(Source::Pem(path)) => {
            let text = read_text(path).map_err(|why| format!("ssl.truststore.location: {why}"))?;
            (
                pem_certificates(&text).map_err(|why| in_file(path, &why))?,
                path.display().to_string(),
            )
        }
        Some(Source::Store { path, password }) => {
            let bytes = read_bytes(path).map_err(|why| format!("ssl.truststore.location: {why}"))?;
            let store = Store::open(&bytes, password.as_ref(), "ssl.truststore.password");
            let store = store.map_err(|why| in_file(path, &why))?;
            (store.trusted, path.display().to_string())
        }
    };
    if certificates.is_empty() {
        return Err(format!(
            "{place} has no certificate to trust; a PKCS12 file must have been made with `keytool -importcert`, which marks it as trusted"
        ));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        if let Err(error) = roots.add(certificate.clone()) {
            tracing::warn!(%error, certificate = describe(certificate), "a certificate of {place} cannot be used to check others");
        }
    }
    Ok(Trust {
        roots,
        certificates,
        place,
    })
}

/// Whom the key store trusts, where it says so: its certificates, and those of its keys.
fn own_store(settings: &TlsSettings) -> Result<Option<(Vec<CertificateDer<'static>>, String)>, String> {
    let (Peer::Worker, Some(keystore)) = (settings.peer, &settings.keystore) else {
        return Ok(None);
    };
    let Source::Store { path, password } = keystore else {
        let own = identity(settings)?.and_then(|own| own.chain.into_iter().next());
        return Ok(Some((own.into_iter().collect(), "the key store".to_owned())));
    };
    let bytes = read_bytes(path).map_err(|why| format!("ssl.keystore.location: {why}"))?;
    let store = Store::open(&bytes, password.as_ref(), "ssl.keystore.password").map_err(|why| in_file(path, &why))?;
    Ok(Some((store.all_certificates(), path.display().to_string())))
}

/// Our own certificate and key, if we have one.
pub(crate) fn identity(settings: &TlsSettings) -> Result<Option<Identity>, String> {
    let key_password = settings.key_password.as_ref();
    let identity = match &settings.keystore {
        None | Some(Source::Inline { key: None, .. }) => return Ok(None),
        Some(Source::Inline {
            certificates,
            key: Some(key),
        }) => Identity {
            chain: pem_certificates(certificates.reveal())
                .map_err(|why| format!("ssl.keystore.certificate.chain: {why}"))?,
            key: pem_key(key.reveal(), key_password).map_err(|why| format!("ssl.keystore.key: {why}"))?,
        },
        Some(Source::Pem(path)) => {
            let text = read_text(path).map_err(|why| format!("ssl.keystore.location: {why}"))?;
            let named = |why: String| in_file(path, &why);
            Identity {
                chain: pem_certificates(&text).map_err(named)?,
                key: pem_key(&text, key_password).map_err(named)?,
            }
        }
        Some(Source::Store { path, password }) => {
            let bytes = read_bytes(path).map_err(|why| format!("ssl.keystore.location: {why}"))?;
            let named = |why: String| in_file(path, &why);
            let store = Store::open(&bytes, password.as_ref(), "ssl.keystore.password").map_err(named)?;
            let key_password = key_password.or(password.as_ref()).map_or("", Password::reveal);
            store.identity(key_password).map_err(named)?
        }
    };
    match identity.chain.is_empty() {
        true => Err("the key store has no certificate for its key".into()),
        false => Ok(Some(identity)),
    }
}

fn in_file(path: &Path, why: &str) -> String {
    format!("{}: {why}", path.display())
}

/// A JKS or PKCS12 file.
struct Store {
    trusted: Vec<CertificateDer<'static>>,
    keys: Keys,
}

enum Keys {
    Jks(Vec<crate::jks::KeyEntry>),
    Pkcs12(Vec<Identity>),
}

impl Store {
    fn open(bytes: &[u8], password: Option<&Password>, password_key: &str) -> Result<Self, String> {
        if bytes.starts_with(&JCEKS_MAGIC) {
            return Err("it is a JCEKS file, which is not supported; convert it with `keytool -importkeystore -deststoretype pkcs12`".into());
        }
        let password = password.map(Password::reveal);
        if bytes.starts_with(&MAGIC) {
            let store = Jks::read(bytes, password).map_err(|why| format!("{why}; see {password_key}"))?;
            return Ok(Self {
                trusted: store.trusted.into_iter().map(CertificateDer::from).collect(),
                keys: Keys::Jks(store.keys),
            });
        }
        if bytes.first() != Some(&0x30) {
            return Err("it is neither a JKS nor a PKCS12 file; for PEM set the store's type to PEM".into());
        }
        let store = KeyStore::from_pkcs12(bytes, password.unwrap_or_default(), Pkcs12ImportPolicy::Strict)
            .map_err(|error| pkcs12_problem(&error, password.is_some(), password_key))?;
        let (mut trusted, mut keys) = (Vec::new(), Vec::new());
        for (_alias, entry) in store.entries() {
            match entry {
                KeyStoreEntry::Certificate(certificate) => {
                    trusted.push(CertificateDer::from(certificate.as_der().to_vec()));
                }
                KeyStoreEntry::PrivateKeyChain(chain) => keys.push(Identity {
                    chain: chain
                        .certs()
                        .iter()
                        .map(|c| CertificateDer::from(c.as_der().to_vec()))
                        .collect(),
                    key: PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec()).into(),
                }),
                KeyStoreEntry::Secret(_) => {}
            }
        }
        Ok(Self {
            trusted,
            keys: Keys::Pkcs12(keys),
        })
    }

    fn all_certificates(self) -> Vec<CertificateDer<'static>> {
        let of_keys: Vec<_> = match self.keys {
            Keys::Jks(keys) => {
                let first = |entry: crate::jks::KeyEntry| entry.chain.into_iter().next().map(CertificateDer::from);
                keys.into_iter().filter_map(first).collect()
            }
            Keys::Pkcs12(keys) => keys
                .into_iter()
                .filter_map(|own| own.chain.into_iter().next())
                .collect(),
        };
        self.trusted.into_iter().chain(of_keys).collect()
    }

    /// The first key. Java chooses among several by what the other side asks for.
    fn identity(self, key_password: &str) -> Result<Identity, String> {
        let none = || "it has no private key".to_owned();
        let count = match &self.keys {
            Keys::Jks(keys) => keys.len(),
            Keys::Pkcs12(keys) => keys.len(),
        };
        if count > 1 {
            tracing::warn!(count, "the key store has several private keys; the first is used");
        }
        match self.keys {
            Keys::Pkcs12(keys) => keys.into_iter().next().ok_or_else(none),
            Keys::Jks(mut keys) => {
                keys.sort_by(|a, b| a.alias.cmp(&b.alias));
                let entry = keys.into_iter().next().ok_or_else(none)?;
                let key = entry.decrypt(key_password)?;
                Ok(Identity {
                    chain: entry.chain.into_iter().map(CertificateDer::from).collect(),
                    key: PrivatePkcs8KeyDer::from(key).into(),
                })
            }
        }
    }
}

fn pkcs12_problem(error: &p12_keystore::error::Error, has_password: bool, password_key: &str) -> String {
    use p12_keystore::error::Error;
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) if has_password => {
            format!("the password is wrong, or the PKCS12 file is damaged; see {password_key}")
        }
        _ if !has_password => format!("the PKCS12 file cannot be opened without {password_key} ({error})"),
        other => format!("the PKCS12 file cannot be read: {other}"),
    }
}

fn pem_certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let is_certificate = |section: &Section| section.label.ends_with("CERTIFICATE");
    let found: Vec<_> = sections(text)?
        .into_iter()
        .filter(is_certificate)
        .map(|section| CertificateDer::from(section.der))
        .collect();
    match found.is_empty() {
        true => Err("it has no PEM certificate".into()),
        false => Ok(found),
    }
}

fn pem_key(text: &str, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, String> {
    let key = sections(text)?
        .into_iter()
        .find(|section| section.label.ends_with("PRIVATE KEY"));
    let Section { label, der } = key.ok_or("it has no PEM private key")?;
    match label.as_str() {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der).into()),
        "ENCRYPTED PRIVATE KEY" => {
            let password = password.ok_or("its private key is encrypted; set ssl.key.password")?;
            let sealed = EncryptedPrivateKeyInfoRef::try_from(der.as_slice());
            let sealed = sealed.map_err(|error| format!("its encrypted private key cannot be read: {error}"))?;
            let opened = sealed.decrypt(password.reveal());
            let opened =
                opened.map_err(|_| "ssl.key.password does not open its private key; PBES2 with AES is supported")?;
            Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
        }
        other => Err(format!(
            "its {other} is not supported; convert it with `openssl pkcs8 -topk8`"
        )),
    }
}

/// The machine's CAs, as Java has its `cacerts`; where there are none, as in small images, Mozilla's.
fn machine_trust() -> Trust {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a CA of this machine cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    let place = match added {
        0 => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            "Mozilla's CAs (ssl.truststore.location is not set)"
        }
        _ => "the CAs that this machine trusts (ssl.truststore.location is not set)",
    };
    Trust {
        roots,
        certificates: Vec::new(),
        place: place.to_owned(),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| format!("{} is no text", path.display()))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_STORE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > MAX_STORE_BYTES {
        true => Err(format!("{} is larger than {MAX_STORE_BYTES} bytes", path.display())),
        false => Ok(bytes),
    }
}
