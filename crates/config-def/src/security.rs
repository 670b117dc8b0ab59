//! Keys of TLS and SASL, which workers, connectors and clients share.
