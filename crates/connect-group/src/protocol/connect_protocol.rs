//! Which of the three protocols a group speaks.

use std::fmt;
use std::str::FromStr;

/// `connect.protocol`: how workers share work. The group speaks the newest that all of its members offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectProtocol {
    /// Everything stops at every rebalance.
    Eager,
    /// Only what moves stops.
    Compatible,
    /// As `Compatible`, and requests between workers are signed.
    Sessioned,
}

impl ConnectProtocol {
    const ALL: [Self; 3] = [Self::Eager, Self::Compatible, Self::Sessioned];

    /// Its name inside the group, which is not always the one in the worker's properties.
    pub const fn group_name(self) -> &'static str {
        match self {
            Self::Eager => "default",
            Self::Compatible => "compatible",
            Self::Sessioned => "sessioned",
        }
    }

    /// The protocol that the group elected, whatever its case.
    pub fn from_group_name(name: &str) -> Option<Self> {
        let named = |protocol: &Self| protocol.group_name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named)
    }

    /// The version in the bytes.
    pub const fn version(self) -> i16 {
        match self {
            Self::Eager => 0,
            Self::Compatible => 1,
            Self::Sessioned => 2,
        }
    }

    /// Whether members keep their work while they join.
    pub const fn is_incremental(self) -> bool {
        !matches!(self, Self::Eager)
    }

    /// What a worker with this setting offers, in order of preference.
    pub fn offered(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |protocol| *protocol <= self).rev()
    }
}

/// As in the worker's properties.
impl fmt::Display for ConnectProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eager => "eager",
            Self::Compatible => "compatible",
            Self::Sessioned => "sessioned",
        })
    }
}

/// `eager`, `compatible` or `sessioned`, whatever the case.
impl FromStr for ConnectProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |protocol: &Self| protocol.to_string().eq_ignore_ascii_case(text);
        let found = Self::ALL.into_iter().find(named);
        found.ok_or_else(|| format!("{text} is none of eager, compatible, sessioned"))
    }
}
