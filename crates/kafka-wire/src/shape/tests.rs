//! The tables against the protocol crate's decoders, which were made from the same definitions by somebody else.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ConsumerProtocolAssignment, ConsumerProtocolSubscription, RequestHeader, RequestKind, ResponseKind,
};
use kafka_protocol::protocol::{Decodable, Encodable, Message as _};
use proptest::prelude::*;

use super::*;

/// A value of the protocol crate, read to its end and written again; `None` if the crate refuses it.
fn reread(shape: Shape, version: i16, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    fn with<T: Decodable + Encodable>(mut bytes: Bytes, version: i16) -> Option<(Vec<u8>, usize)> {
        let value = T::decode(&mut bytes, version).ok()?;
        let mut out = BytesMut::new();
        value.encode(&mut out, version).ok()?;
        Some((out.to_vec(), bytes.len()))
    }
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut out = BytesMut::new();
    let key = |key| ApiKey::try_from(key).expect("a key of the protocol");
    match shape {
        Shape::Request(api) => {
            let request = RequestKind::decode(key(api), &mut rest, version).ok()?;
            request.encode(&mut out, version).ok()?;
        }
        Shape::Response(api) => {
            let response = ResponseKind::decode(key(api), &mut rest, version).ok()?;
            response.encode(&mut out, version).ok()?;
        }
        Shape::RequestHeader => return with::<RequestHeader>(rest, version),
        Shape::ConsumerProtocolSubscription => return with::<ConsumerProtocolSubscription>(rest, version),
        Shape::ConsumerProtocolAssignment => return with::<ConsumerProtocolAssignment>(rest, version),
    }
    Some((out.to_vec(), rest.len()))
}

/// Every shape of the tables in every version that both sides know.
fn all() -> Vec<(Shape, i16)> {
    let mut all = Vec::new();
    for key in 0..100 {
        let Some(api) = ApiKey::try_from(key).ok().filter(|_| tables::request(key).is_some()) else {
            continue;
        };
        for version in api.valid_versions().min..=api.valid_versions().max {
            // The range of an API is that of its response; three requests of the crate end a version earlier.
            if !matches!(
                (api, version),
                (ApiKey::OffsetCommit | ApiKey::OffsetFetch, 10) | (ApiKey::InitProducerId, 6)
            ) {
                all.push((Shape::Request(key), version));
            }
            all.push((Shape::Response(key), version));
        }
    }
    all.extend((1..=2).map(|version| (Shape::RequestHeader, version)));
    for version in 0..=ConsumerProtocolSubscription::VERSIONS.max {
        all.push((Shape::ConsumerProtocolSubscription, version));
        all.push((Shape::ConsumerProtocolAssignment, version));
    }
    all
}

/// Writes a random message along its shape, and notes where its counts and lengths stand.
struct Author {
    out: Vec<u8>,
    lengths: Vec<Length>,
    version: i16,
    flexible: bool,
    random: u64,
}

#[derive(Clone, Copy)]
struct Length {
    at: usize,
    width: usize,
    of_array: bool,
}

impl Author {
    fn write(shape: Shape, version: i16, seed: u64) -> Self {
        let message = shape.message().expect("it is in the tables");
        let mut author = Self {
            out: Vec::new(),
            lengths: Vec::new(),
            version,
            flexible: version >= message.flexible,
            random: seed | 1,
        };
        author.fields(&message.fields);
        author
    }

    /// A number below `bound`, by a linear congruence.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    fn fields(&mut self, fields: &'static Fields) {
        let version = self.version;
        let now = || fields.fields.iter().filter(move |field| field.is_in(version));
        for field in now().filter(|field| field.tag.is_none()) {
            self.field(field);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in now().filter(|field| field.tag.is_some()) {
            if self.below(2) == 0 {
                let body = self.aside(|author| author.field(field));
                tagged.push((field.tag.expect("it was filtered"), body));
            }
        }
        if self.below(4) == 0 {
            tagged.push((9999, vec![0xff; 3]));
        }
        self.out.push(tagged.len() as u8);
        for (tag, body) in tagged {
            self.varint(tag);
            self.varint(body.len() as u32);
            self.out.extend(body);
        }
    }

    /// What `write` writes. Lengths in there are not noted: what holds them has a size of its own.
    fn aside(&mut self, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let (out, lengths) = (std::mem::take(&mut self.out), self.lengths.len());
        write(self);
        self.lengths.truncate(lengths);
        std::mem::replace(&mut self.out, out)
    }

    fn field(&mut self, field: &'static Field) {
        let null = self.version >= field.null_since && self.below(3) == 0;
        match (&field.kind, null) {
            (Kind::Struct(_), true) => self.out.push(0xff),
            (Kind::Struct(_), false) if self.version >= field.null_since => {
                self.out.push(1);
                self.value(&field.kind);
            }
            (kind, true) => self.length(kind, -1),
            (kind, false) => self.value(kind),
        }
    }

    fn value(&mut self, kind: &'static Kind) {
        match kind {
            Kind::Fixed(size) => {
                for _ in 0..*size {
                    let byte = self.below(2) as u8; // also a boolean
                    self.out.push(byte);
                }
            }
            Kind::String | Kind::PlainString | Kind::Bytes => {
                let length = self.below(6) as usize;
                self.length(kind, length as i64);
                self.out.extend(&b"abcdef"[..length]);
            }
            Kind::Array(element) => {
                let count = self.below(4);
                self.length(kind, count as i64);
                for _ in 0..count {
                    self.value(element);
                }
            }
            Kind::Struct(fields) => self.fields(fields),
        }
    }

    fn length(&mut self, kind: &Kind, length: i64) {
        let at = self.out.len();
        match kind {
            Kind::PlainString => self.out.extend((length as i16).to_be_bytes()),
            _ if self.flexible => self.varint((length + 1) as u32),
            Kind::String => self.out.extend((length as i16).to_be_bytes()),
            _ => self.out.extend((length as i32).to_be_bytes()),
        }
        self.lengths.push(Length {
            at,
            width: self.out.len() - at,
            of_array: matches!(kind, Kind::Array(_)),
        });
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// The message with the largest number there is in place of a length.
    fn with_huge(&self, length: Length) -> Vec<u8> {
        let huge: &[u8] = match length.width {
            1 => &[0xff, 0xff, 0xff, 0xff, 0x0f],
            2 => &[0x7f, 0xff],
            _ => &[0x7f, 0xff, 0xff, 0xff],
        };
        let mut bytes = self.out.clone();
        bytes.splice(length.at..length.at + length.width, huge.iter().copied());
        bytes
    }
}

#[test]
fn every_message_of_the_protocol_crate_passes_to_its_last_byte() {
    for (shape, version) in all() {
        for seed in 0..30 {
            let bytes = Author::write(shape, version, seed).out;
            let context = || format!("{shape:?} version {version} seed {seed}: {bytes:?}");
            let (again, left) = reread(shape, version, &bytes).unwrap_or_else(|| panic!("decodes {}", context()));
            assert_eq!(left, 0, "{}", context());
            assert_eq!(
                check(shape, version, &bytes).expect("fits"),
                bytes.len(),
                "{}",
                context()
            );
            assert_eq!(
                check(shape, version, &again).expect("fits"),
                again.len(),
                "{}",
                context()
            );
        }
    }
}

#[test]
fn a_length_or_count_beyond_the_end_is_refused_wherever_it_stands() {
    let mut arrays = 0;
    for (shape, version) in all() {
        for seed in 0..10 {
            let author = Author::write(shape, version, seed);
            for length in &author.lengths {
                let lie = author.with_huge(*length);
                assert!(
                    check(shape, version, &lie).is_err(),
                    "{shape:?} version {version} at {}: {lie:?}",
                    length.at
                );
                arrays += usize::from(length.of_array);
            }
        }
    }
    assert!(arrays > 1000, "only {arrays} counts were flipped");
}

#[test]
fn many_small_values_are_refused_before_they_take_memory() {
    // Three bytes each, 72 in memory: a topic without a name in a request for metadata.
    let mut bytes = vec![0xff, 0xff, 0xff, 0x07];
    bytes.extend(std::iter::repeat_n([1, 0], 0xff_ffff).flatten());
    bytes.extend([0; 3]);
    let refused = check(Shape::Request(3), 9, &bytes).expect_err("it would take over a gigabyte");
    assert!(
        matches!(refused, Error::TooManyValues { what: "Topics" }),
        "{refused:?}"
    );
    // The same with tagged fields that nobody knows.
    let mut bytes = vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0x07];
    bytes.extend([7, 0].repeat(0x100_0000));
    let refused = check(Shape::Request(3), 9, &bytes).expect_err("tags take memory");
    assert!(matches!(refused, Error::TooManyValues { .. }), "{refused:?}");
}

#[test]
fn an_honest_list_of_short_names_passes() {
    // A hundred thousand topics named by three letters; Kafka's own limit on names is 249.
    let mut bytes = vec![0x81 + 0x20, 0x8d, 0x06];
    bytes.extend(std::iter::repeat_n([4, b'a', b'b', b'c', 0], 100_000).flatten());
    bytes.extend([0; 4]);
    assert_eq!(check(Shape::Request(3), 9, &bytes).expect("honest"), bytes.len());
}

#[test]
fn the_memory_of_values_is_not_understated() {
    use kafka_protocol::messages::{fetch_response, join_group_response, metadata_response, produce_request};
    let sizes = [
        (
            Shape::Response(3),
            "Brokers",
            size_of::<metadata_response::MetadataResponseBroker>(),
        ),
        (
            Shape::Response(3),
            "Topics",
            size_of::<metadata_response::MetadataResponseTopic>(),
        ),
        (
            Shape::Response(3),
            "Partitions",
            size_of::<metadata_response::MetadataResponsePartition>(),
        ),
        (
            Shape::Response(1),
            "Responses",
            size_of::<fetch_response::FetchableTopicResponse>(),
        ),
        (
            Shape::Response(1),
            "Partitions",
            size_of::<fetch_response::PartitionData>(),
        ),
        (
            Shape::Response(11),
            "Members",
            size_of::<join_group_response::JoinGroupResponseMember>(),
        ),
        (
            Shape::Request(0),
            "PartitionData",
            size_of::<produce_request::PartitionProduceData>(),
        ),
    ];
    for (shape, array, size) in sizes {
        let message = shape.message().expect("it is in the tables");
        let told = find(&message.fields, array).expect("it is in the message");
        assert!(
            (size..size + 32).contains(&told),
            "{array} of {}: {told} for {size}",
            message.name
        );
    }
}

fn find(fields: &'static Fields, array: &str) -> Option<usize> {
    fields.fields.iter().find_map(|field| match &field.kind {
        Kind::Array(element) if field.name == array => Some(element.memory_bytes()),
        Kind::Array(Kind::Struct(inner)) => find(inner, array),
        _ => None,
    })
}

#[test]
fn a_tagged_field_of_another_size_is_refused() {
    // CurrentLeader takes nine bytes; the size says ten, so that reader and writer would part here.
    let leader = |size| {
        let mut bytes = vec![0; 10]; // throttle time, error, session
        bytes.extend([2]);
        bytes.extend([0; 16]); // topic
        bytes.extend([2]);
        bytes.extend([0; 30]); // index, error, offsets
        bytes.extend([0]);
        bytes.extend([0; 4]);
        bytes.extend([0, 1, 1, size, 0, 0, 0, 1, 0, 0, 0, 1, 0]);
        bytes.extend([0; 2]);
        bytes
    };
    let bytes = leader(9);
    assert_eq!(check(Shape::Response(1), 13, &bytes).expect("it fits"), bytes.len());
    let refused = check(Shape::Response(1), 13, &leader(10)).expect_err("sizes differ");
    assert!(
        matches!(
            refused,
            Error::Invalid {
                what: "CurrentLeader",
                value: 10
            }
        ),
        "{refused:?}"
    );
}

#[test]
fn an_api_without_a_shape_is_refused() {
    assert!(check(Shape::Response(7), 0, &[]).is_err());
    assert!(check(Shape::Request(i16::MIN), 0, &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_passes_is_read_to_the_same_byte(
        which in any::<prop::sample::Index>(),
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let all = all();
        let (shape, version) = all[which.index(all.len())];
        let mut bytes = Author::write(shape, version, seed).out;
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Ok(taken) = check(shape, version, &bytes)
            && let Some((_, left)) = reread(shape, version, &bytes)
        {
            prop_assert_eq!(taken, bytes.len() - left, "{:?} version {}", shape, version);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(which in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let all = all();
        let (shape, version) = all[which.index(all.len())];
        let _ = check(shape, version, &bytes);
        crate::fuzzing::message(&bytes);
    }
}
