//! Writing of zigzag varints, Kafka's form of every number inside a record. Reading is in `reader`.

/// Appends a zigzag varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    // A sign-extended value has the same zigzag bytes, so one writer serves both widths.
    put_varlong(out, i64::from(value));
}

/// Appends a zigzag varlong.
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// How many bytes `put_varint` and `put_varlong` write.
pub(crate) fn varlong_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// A length as a varint; `None` is Kafka's −1.
pub(crate) fn put_length(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varlong(out, length(bytes));
}

/// The length field of an optional byte string.
pub(crate) fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| bytes.len() as i64)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Reader;

    #[test]
    fn every_width_reads_back() {
        for shift in 0..64 {
            for value in [
                1_i64 << shift,
                (1_i64 << shift).wrapping_sub(1),
                -(1_i64 << (shift % 63)),
            ] {
                let mut out = Vec::new();
                put_varlong(&mut out, value);
                assert_eq!(out.len(), varlong_len(value), "{value}");
                let mut reader = Reader::new(&out);
                assert_eq!(reader.varlong("test").expect("just written"), value);
                assert!(reader.is_empty());
            }
        }
    }

    #[test]
    fn bytes_are_those_of_kafkas_own_test() {
        // ByteUtilsTest.testVarintSerde of Kafka 4.3.1.
        for (value, bytes) in [
            (0, &[0x00_u8][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(Reader::new(bytes).varint("test").expect("well formed"), value);
        }
    }
}
