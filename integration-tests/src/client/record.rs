/// A record as a user sees it, to the byte.
#[derive(Clone, PartialEq, Eq)]
pub struct TestRecord {
    /// Given by the broker; of no meaning when producing.
    pub offset: i64,
    /// Milliseconds.
    pub timestamp: i64,
    /// Null and empty are two things.
    pub key: Option<Vec<u8>>,
    /// Null and empty are two things.
    pub value: Option<Vec<u8>>,
    /// In order, repeats kept; keys need not be UTF-8.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl TestRecord {
    /// With a fixed timestamp, so that a run can be repeated.
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        let (key, value) = (Some(key.into()), Some(value.into()));
        Self {
            offset: -1,
            timestamp: 1_700_000_000_000,
            key,
            value,
            headers: Vec::new(),
        }
    }

    /// With this timestamp.
    pub fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// With one more header.
    pub fn header(mut self, key: impl Into<Vec<u8>>, value: Option<&[u8]>) -> Self {
        self.headers.push((key.into(), value.map(<[u8]>::to_vec)));
        self
    }

    /// Whether everything but the offset is the same.
    pub fn same_as(&self, other: &Self) -> bool {
        let content = |r: &Self| (r.timestamp, r.key.clone(), r.value.clone(), r.headers.clone());
        content(self) == content(other)
    }
}

impl std::fmt::Debug for TestRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(k, v)| (shown(Some(k)), shown(v.as_deref())))
            .collect();
        f.debug_struct("Record")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &shown(self.key.as_deref()))
            .field("value", &shown(self.value.as_deref()))
            .field("headers", &headers)
            .finish()
    }
}

/// The start of the bytes and their number, so that a difference of large records can still be read.
fn shown(bytes: Option<&[u8]>) -> String {
    const SHOWN: usize = 60;
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= SHOWN => format!("\"{}\"", bytes.escape_ascii()),
        Some(bytes) => format!("\"{}…\" ({} bytes)", bytes[..SHOWN].escape_ascii(), bytes.len()),
    }
}
