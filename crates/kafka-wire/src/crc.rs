//! CRC-32C arithmetic that lets a checksum follow a changed header without reading the payload again.
//!
//! A batch's checksum covers 40 header bytes and then the payload. With the payload's own checksum and its length known,
//! `crc(header ++ payload) = shift(crc(header), payload length) ^ crc(payload)`, where shifting by n bytes is a
//! multiplication by x^8n modulo the Castagnoli polynomial. The factor depends on the length only, so a [`PayloadCrc`]
//! keeps it and each later combination is one 32-step multiplication.

/// The Castagnoli polynomial, bit-reversed as the checksum is.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1 in reversed bit order.
const ONE: u32 = 1 << 31;

/// `SQUARES[k]` is x^(8·2^k): what a shift by 2^k bytes multiplies with.
const SQUARES: [u32; 64] = {
    let mut squares = [0; 64];
    squares[0] = ONE >> 8;
    let mut k = 1;
    while k < squares.len() {
        squares[k] = multiply(squares[k - 1], squares[k - 1]);
        k += 1;
    }
    squares
};

/// The checksum of a batch's payload alone, with what it takes to combine it with any header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadCrc {
    crc: u32,
    factor: u32,
}

impl PayloadCrc {
    /// Reads the payload once.
    pub fn of(payload: &[u8]) -> Self {
        Self {
            crc: crc32c::crc32c(payload),
            factor: shift_factor(payload.len()),
        }
    }

    /// The checksum of the payload alone.
    pub fn value(self) -> u32 {
        self.crc
    }

    /// The checksum of `header` followed by the payload.
    pub fn after(self, header: &[u8]) -> u32 {
        multiply(self.factor, crc32c::crc32c(header)) ^ self.crc
    }
}

/// The checksum of `a ++ b` from the checksums of both and the length of `b`.
pub fn combine(crc_a: u32, crc_b: u32, len_b: usize) -> u32 {
    shift(crc_a, len_b) ^ crc_b
}

/// Moves a checksum over `len` bytes that follow what it covers.
pub fn shift(crc: u32, len: usize) -> u32 {
    multiply(shift_factor(len), crc)
}

/// x^(8·len) modulo the polynomial.
fn shift_factor(len: usize) -> u32 {
    let mut factor = ONE;
    let mut rest = len;
    for square in SQUARES {
        if rest == 0 {
            break;
        }
        if rest & 1 == 1 {
            factor = multiply(factor, square);
        }
        rest >>= 1;
    }
    factor
}

/// Multiplies two polynomials modulo [`POLYNOMIAL`], all bit-reversed.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        // Masks instead of branches: the bits are random, so a predictor would be wrong half of the time.
        product ^= b & 0_u32.wrapping_sub((a & bit != 0) as u32);
        b = (b >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(b & 1));
        bit >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combining_equals_one_pass_over_both_parts() {
        let data: Vec<u8> = (0..100_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for split in [0, 1, 7, 40, 61, 4096, 65_537, 99_999, 100_000] {
            let (a, b) = data.split_at(split);
            let whole = crc32c::crc32c(&data);
            assert_eq!(
                combine(crc32c::crc32c(a), crc32c::crc32c(b), b.len()),
                whole,
                "split at {split}"
            );
            assert_eq!(PayloadCrc::of(b).after(a), whole, "split at {split}");
        }
    }

    #[test]
    fn shifting_agrees_with_the_crc_crate() {
        for len in [1, 2, 3, 1000, 1 << 20, (1 << 31) - 1] {
            assert_eq!(
                combine(0xdead_beef, 0x1234_5678, len),
                crc32c::crc32c_combine(0xdead_beef, 0x1234_5678, len)
            );
        }
    }
}
