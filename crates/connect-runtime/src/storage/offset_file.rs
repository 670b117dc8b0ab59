//! The offset file of a standalone worker, as Java's `FileOffsetBackingStore` reads and writes it: one Java-serialised
//! `HashMap<byte[], byte[]>`. Only that much of Java's object serialisation (protocol version 5) is known here.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

/// Keys and values of the offset topic, without a topic. A null value is a deleted offset that Java keeps in its file.
pub type OffsetTable = BTreeMap<Bytes, Option<Bytes>>;

const STREAM_HEADER: &[u8] = &[0xac, 0xed, 0x00, 0x05];
const TC_NULL: u8 = 0x70;
const TC_REFERENCE: u8 = 0x71;
const TC_CLASSDESC: u8 = 0x72;
const TC_OBJECT: u8 = 0x73;
const TC_ARRAY: u8 = 0x75;
const TC_BLOCKDATA: u8 = 0x77;
const TC_ENDBLOCKDATA: u8 = 0x78;
/// Objects are numbered in the order of their appearance, from here on.
const FIRST_HANDLE: u32 = 0x007e_0000;
/// Class, version id, flags and fields of `java.util.HashMap`; its superclass is not serialisable.
const HASH_MAP_DESC: &[u8] = b"\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\
    \x00\x02F\x00\x0aloadFactorI\x00\x09threshold\x78\x70";
/// The same of `byte[]`.
const BYTE_ARRAY_DESC: &[u8] = b"\x00\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\x00\x00\x78\x70";
const LOAD_FACTOR: f32 = 0.75;
const LEAST_BUCKETS: u32 = 16;

/// Why an offset file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OffsetFileError {
    /// The file cannot be read or written.
    #[error("{what} {} failed (offset.storage.file.filename)", path.display())]
    Io {
        /// `reading` or `writing`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what a standalone worker writes.
    #[error(
        "{} is not an offset file of a standalone worker: {why} at byte {at} (offset.storage.file.filename)",
        path.display()
    )]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was found.
        why: &'static str,
        /// Where.
        at: usize,
    },
}

/// Reads the file. One that is not there, or is empty, holds no offsets yet.
pub fn read(path: &Path) -> Result<OffsetTable, OffsetFileError> {
    let io = |source| OffsetFileError::Io {
        what: "reading",
        path: path.to_owned(),
        source,
    };
    let bytes = match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => return Ok(OffsetTable::new()),
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OffsetTable::new()),
        Err(error) => return Err(io(error)),
    };
    decode(&bytes).map_err(|Malformed { why, at }| OffsetFileError::Content {
        path: path.to_owned(),
        why,
        at,
    })
}

/// Replaces the file, which is the old or the new one at any moment (Java overwrites it in place).
pub fn write(path: &Path, table: &OffsetTable) -> Result<(), OffsetFileError> {
    let io = |source| OffsetFileError::Io {
        what: "writing",
        path: path.to_owned(),
        source,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, encode(table)).map_err(io)?;
    fs::File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&new, path).map_err(io)
}

fn encode(table: &OffsetTable) -> Vec<u8> {
    let full = table.len() as u32 * 4;
    let buckets = full.div_ceil(3).next_power_of_two().max(LEAST_BUCKETS);
    let mut out = Vec::new();
    out.extend_from_slice(STREAM_HEADER);
    out.extend_from_slice(&[TC_OBJECT, TC_CLASSDESC]);
    out.extend_from_slice(HASH_MAP_DESC);
    out.extend_from_slice(&LOAD_FACTOR.to_be_bytes());
    out.extend_from_slice(&(buckets / 4 * 3).to_be_bytes());
    out.extend_from_slice(&[TC_BLOCKDATA, 8]);
    out.extend_from_slice(&buckets.to_be_bytes());
    out.extend_from_slice(&(table.len() as u32).to_be_bytes());
    let mut described = false;
    let mut array = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.push(TC_ARRAY);
        if described {
            // The description came third: after the map's own and the map.
            out.push(TC_REFERENCE);
            out.extend_from_slice(&(FIRST_HANDLE + 2).to_be_bytes());
        } else {
            out.push(TC_CLASSDESC);
            out.extend_from_slice(BYTE_ARRAY_DESC);
            described = true;
        }
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        out.extend_from_slice(bytes);
    };
    for (key, value) in table {
        array(&mut out, key);
        match value {
            Some(value) => array(&mut out, value),
            None => out.push(TC_NULL),
        }
    }
    out.push(TC_ENDBLOCKDATA);
    out
}

#[derive(Debug, PartialEq, Eq)]
struct Malformed {
    why: &'static str,
    at: usize,
}

/// What a handle of the stream stands for.
enum Numbered {
    ByteArrayDesc,
    Array(Bytes),
    Other,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    numbered: Vec<Numbered>,
}

fn decode(bytes: &[u8]) -> Result<OffsetTable, Malformed> {
    // Numbers 0 and 1: the map's class and the map.
    let mut reader = Reader {
        bytes,
        at: 0,
        numbered: vec![Numbered::Other, Numbered::Other],
    };
    reader.expect(STREAM_HEADER, "no Java object stream")?;
    reader.expect(&[TC_OBJECT, TC_CLASSDESC], "no Java object")?;
    reader.expect(HASH_MAP_DESC, "something else than a java.util.HashMap")?;
    // Load factor and threshold: Java's own affair.
    reader.take(8)?;
    reader.expect(&[TC_BLOCKDATA, 8], "no size of the map")?;
    let _buckets = reader.int()?;
    let entries = reader.int()?;
    let mut table = OffsetTable::new();
    for _ in 0..entries {
        let key = reader.array()?;
        let value = reader.array()?;
        // A null key holds nothing that anybody could look up.
        if let Some(key) = key {
            table.insert(key, value);
        }
    }
    reader.expect(&[TC_ENDBLOCKDATA], "no end of the map")?;
    Ok(table)
}

impl Reader<'_> {
    fn malformed(&self, why: &'static str) -> Malformed {
        Malformed { why, at: self.at }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.malformed("the end of the file"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn expect(&mut self, wanted: &[u8], why: &'static str) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(wanted) {
            return Err(self.malformed(why));
        }
        self.at += wanted.len();
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn int(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.try_into().expect("four were taken");
        Ok(u32::from_be_bytes(bytes))
    }

    fn reference(&mut self) -> Result<&Numbered, Malformed> {
        let handle = self.int()?;
        let index = handle.checked_sub(FIRST_HANDLE).map(|index| index as usize);
        let malformed = self.malformed("a reference to nothing");
        index.and_then(|index| self.numbered.get(index)).ok_or(malformed)
    }

    fn array(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.byte()? {
            TC_NULL => return Ok(None),
            TC_REFERENCE => {
                let malformed = self.malformed("a reference to something else than a byte[]");
                let Numbered::Array(bytes) = self.reference()? else {
                    return Err(malformed);
                };
                return Ok(Some(bytes.clone()));
            }
            TC_ARRAY => {}
            _ => return Err(self.malformed("something else than a byte[]")),
        }
        match self.byte()? {
            TC_CLASSDESC => {
                self.expect(BYTE_ARRAY_DESC, "something else than a byte[]")?;
                self.numbered.push(Numbered::ByteArrayDesc);
            }
            TC_REFERENCE => {
                let malformed = self.malformed("something else than a byte[]");
                if !matches!(self.reference()?, Numbered::ByteArrayDesc) {
                    return Err(malformed);
                }
            }
            _ => return Err(self.malformed("no class of an array")),
        }
        let length = self.int()? as usize;
        let bytes = Bytes::copy_from_slice(self.take(length)?);
        self.numbered.push(Numbered::Array(bytes.clone()));
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by Java's own class; see testdata/README.md.
    const GOLDEN: [(&[u8], usize); 4] = [
        (include_bytes!("../../testdata/offset-files/java-0.offsets"), 0),
        (include_bytes!("../../testdata/offset-files/java-1.offsets"), 1),
        (include_bytes!("../../testdata/offset-files/java-3.offsets"), 3),
        (include_bytes!("../../testdata/offset-files/java-40.offsets"), 40),
    ];

    fn table(entries: usize) -> OffsetTable {
        let key = |n| format!(r#"["ms",{{"cluster":"source","partition":{n},"topic":"t"}}]"#);
        (0..entries)
            .map(|n| (key(n).into(), Some(format!("{{\"offset\":{}}}", n * 10).into())))
            .collect()
    }

    #[test]
    fn javas_files_are_read() {
        for (file, entries) in GOLDEN {
            assert_eq!(decode(file), Ok(table(entries)));
        }
        let mut with_null = table(2);
        with_null.insert(Bytes::from_static(br#"["ms",{"gone":1}]"#), None);
        assert_eq!(
            decode(include_bytes!("../../testdata/offset-files/java-null.offsets")),
            Ok(with_null)
        );
    }

    #[test]
    fn what_java_would_write_is_written() {
        // With more than one key Java's order is that of its identity hashes.
        let (one, three) = (GOLDEN[1].0, GOLDEN[2].0);
        assert_eq!(encode(&table(1)), one);
        assert_eq!(encode(&table(3)).len(), three.len());
    }

    #[test]
    fn an_array_that_appears_twice_is_followed() {
        let mut file = encode(&OffsetTable::from([("k".into(), Some("v".into()))]));
        // The value becomes a reference to the key, the fourth thing in the stream.
        let value = [TC_ARRAY, TC_REFERENCE, 0, 0x7e, 0, 2, 0, 0, 0, 1, b'v', TC_ENDBLOCKDATA];
        assert!(file.ends_with(&value));
        file.truncate(file.len() - value.len());
        file.extend([TC_REFERENCE, 0, 0x7e, 0, 3, TC_ENDBLOCKDATA]);
        assert_eq!(decode(&file).unwrap()[b"k".as_slice()], Some("k".into()));
    }

    #[test]
    fn other_files_are_told_apart() {
        let why = |bytes: &[u8]| decode(bytes).unwrap_err().why;
        assert_eq!(why(b"{}"), "no Java object stream");
        assert_eq!(why(b"\xac\xed\x00\x05t\x00\x01x"), "no Java object");
        assert_eq!(
            why(b"\xac\xed\x00\x05sr\x00\x11java.util.TreeMap"),
            "something else than a java.util.HashMap"
        );
        assert_eq!(why(&GOLDEN[1].0[..100]), "the end of the file");
    }

    #[test]
    fn a_missing_file_is_an_empty_one_and_a_new_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("connect.offsets");
        assert_eq!(read(&path).unwrap(), OffsetTable::new());
        write(&path, &table(3)).unwrap();
        write(&path, &table(2)).unwrap();
        assert_eq!(read(&path).unwrap(), table(2));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::write(&path, "offset=1").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("connect.offsets is not an offset file"), "{error}");
    }

    proptest! {
        #[test]
        fn tables_survive(entries in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Option<Vec<u8>>>(), 0..40)) {
            let table: OffsetTable = entries.into_iter().map(|(k, v)| (k.into(), v.map(Bytes::from))).collect();
            prop_assert_eq!(decode(&encode(&table)), Ok(table));
        }

        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, at in 0usize..360, flip: u8) {
            let _ = decode(&bytes);
            bytes = GOLDEN[2].0.to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            let _ = decode(&bytes);
        }
    }
}
