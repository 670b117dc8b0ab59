//! connect-rest
