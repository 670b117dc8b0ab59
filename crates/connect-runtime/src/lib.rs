//! connect-runtime
