//! connect-mirror
