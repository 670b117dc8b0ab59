//! How batches were carried: as they are, or rebuilt and why.

/// Why a batch could not be passed on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// It is in a message format of before Kafka 0.11.
    OldFormat,
    /// Another codec was asked for.
    Codec,
    /// It begins before the position that is continued from.
    Position,
    /// Offsets inside are missing: compaction, or a transaction's.
    Holes,
    /// Its time is the source broker's (`LogAppendTime`).
    LogAppendTime,
    /// Records have no timestamp.
    NoTimestamp,
}

impl Rebuilt {
    /// Every reason there is.
    pub const ALL: [Self; 6] = [
        Self::OldFormat,
        Self::Codec,
        Self::Position,
        Self::Holes,
        Self::LogAppendTime,
        Self::NoTimestamp,
    ];

    /// In a word, as metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OldFormat => "old_format",
            Self::Codec => "codec",
            Self::Position => "position",
            Self::Holes => "holes",
            Self::LogAppendTime => "log_append_time",
            Self::NoTimestamp => "no_timestamp",
        }
    }
}

/// How many batches went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// As they are.
    pub passed: u64,
    /// Cut into smaller ones afterwards, because the target takes no larger ones.
    pub cut: u64,
    rebuilt: [u64; Rebuilt::ALL.len()],
}

impl BatchCounts {
    /// Record by record, because of `reason`.
    pub fn rebuilt(&self, reason: Rebuilt) -> u64 {
        self.rebuilt[reason as usize]
    }

    /// Takes what another partition counted in.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.cut += other.cut;
        for (sum, count) in self.rebuilt.iter_mut().zip(other.rebuilt) {
            *sum += count;
        }
    }

    pub(crate) fn carried(&mut self, rebuilt: Option<Rebuilt>) {
        match rebuilt {
            None => self.passed += 1,
            Some(reason) => self.rebuilt[reason as usize] += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_counts_by_itself() {
        let mut counts = BatchCounts::default();
        for (times, reason) in Rebuilt::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counts.carried(Some(reason)));
        }
        counts.carried(None);
        let mut twice = counts;
        twice.add(&counts);
        for (times, reason) in Rebuilt::ALL.into_iter().enumerate() {
            assert_eq!(twice.rebuilt(reason), 2 * (times as u64 + 1), "{}", reason.as_str());
        }
        assert_eq!((twice.passed, twice.cut), (2, 0));
    }
}
