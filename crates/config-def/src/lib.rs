//! config-def
