//! connect-api
