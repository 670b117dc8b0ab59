//! Java's old key store format, JKS, as `sun.security.provider.JavaKeyStore` writes it.

use sha1::{Digest, Sha1};

pub(crate) const MAGIC: [u8; 4] = 0xFEED_FEED_u32.to_be_bytes();
/// The same format with other encryption.
pub(crate) const JCEKS_MAGIC: [u8; 4] = 0xCECE_CECE_u32.to_be_bytes();

/// "Mighty Aphrodite" is a constant of the format.
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST_BYTES: usize = 20;
const KEY_PROTECTOR_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];

#[derive(Debug, Default)]
pub(crate) struct Jks {
    /// DER.
    pub(crate) trusted: Vec<Vec<u8>>,
    pub(crate) keys: Vec<KeyEntry>,
}

#[derive(Debug)]
pub(crate) struct KeyEntry {
    pub(crate) alias: String,
    protected: Vec<u8>,
    /// DER, the key's own certificate first.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Jks {
    /// Reads a store. Without a password its integrity is not checked, as in Java.
    pub(crate) fn read(bytes: &[u8], password: Option<&str>) -> Result<Self, String> {
        let cut = || "the JKS file is cut or damaged".to_owned();
        let (body, digest) = bytes.split_last_chunk::<DIGEST_BYTES>().ok_or_else(cut)?;
        if let Some(password) = password {
            let mut expected = Sha1::new();
            expected.update(utf16(password));
            expected.update(WHITENER);
            expected.update(body);
            if expected.finalize()[..] != digest[..] {
                return Err("the password is wrong, or the JKS file is damaged".into());
            }
        }
        Self::entries(&mut Reader(body)).ok_or_else(cut)
    }

    fn entries(reader: &mut Reader<'_>) -> Option<Self> {
        let (_magic, version, count) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let mut store = Self::default();
        for _ in 0..count {
            let tag = reader.u32()?;
            let alias = reader.text()?;
            let _date = reader.take(8)?;
            match tag {
                1 => {
                    let protected = reader.bytes()?.to_vec();
                    let mut chain = Vec::new();
                    for _ in 0..reader.u32()? {
                        chain.push(reader.certificate(version)?);
                    }
                    store.keys.push(KeyEntry {
                        alias,
                        protected,
                        chain,
                    });
                }
                2 => store.trusted.push(reader.certificate(version)?),
                _ => return None,
            }
        }
        Some(store)
    }
}

impl KeyEntry {
    /// The key as PKCS#8.
    pub(crate) fn decrypt(&self, password: &str) -> Result<Vec<u8>, String> {
        let foreign = || format!("key {} is protected in a way that is not supported", self.alias);
        let sealed = sealed(&self.protected).ok_or_else(foreign)?;
        let (salt, rest) = sealed.split_first_chunk::<DIGEST_BYTES>().ok_or_else(foreign)?;
        let (cipher, check) = rest.split_last_chunk::<DIGEST_BYTES>().ok_or_else(foreign)?;
        let password = utf16(password);
        let digest = |data: &[u8]| -> [u8; DIGEST_BYTES] {
            let mut sha = Sha1::new();
            sha.update(&password);
            sha.update(data);
            sha.finalize().into()
        };
        let mut plain = cipher.to_vec();
        let mut pad = *salt;
        for block in plain.chunks_mut(DIGEST_BYTES) {
            pad = digest(&pad);
            block.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
        }
        match digest(&plain) == *check {
            true => Ok(plain),
            false => Err(format!(
                "the password of key {} is wrong; set ssl.key.password",
                self.alias
            )),
        }
    }
}

/// The octets in `SEQUENCE { SEQUENCE { OID of the key protector, … }, OCTET STRING }`.
fn sealed(der: &[u8]) -> Option<&[u8]> {
    let (outer, _) = tlv(der, 0x30)?;
    let (algorithm, rest) = tlv(outer, 0x30)?;
    let (oid, _) = tlv(algorithm, 0x06)?;
    let (sealed, _) = tlv(rest, 0x04)?;
    (oid == KEY_PROTECTOR_OID).then_some(sealed)
}

/// The content of a DER element with this tag, and what follows it.
fn tlv(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|digits| (1..=4).contains(&digits.len()))?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = &rest[count..];
    }
    (found == tag && length <= rest.len()).then(|| rest.split_at(length))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<String> {
        let length: [u8; 2] = self.take(2)?.try_into().expect("two bytes were taken");
        self.take(usize::from(u16::from_be_bytes(length)))
            .map(|text| String::from_utf8_lossy(text).into_owned())
    }

    fn certificate(&mut self, version: u32) -> Option<Vec<u8>> {
        if version >= 2 {
            let _kind = self.text()?;
        }
        self.bytes().map(<[u8]>::to_vec)
    }
}

/// Java's characters, high byte first.
fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Jks::read(&body, Some("x"));
            let mut whole = [&MAGIC[..], &[0, 0, 0, 2, 0, 0, 0, 3], &body].concat();
            let _ = Jks::read(&whole, None);
            whole.truncate(30);
            let _ = Jks::read(&whole, None);
            let entry = KeyEntry { alias: "a".into(), protected: body, chain: Vec::new() };
            let _ = entry.decrypt("x");
        }
    }
}
