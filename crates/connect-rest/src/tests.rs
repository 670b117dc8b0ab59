//! The router over a scripted herder, and the server over sockets.

mod bad_input;
mod expansions;
mod forwarding;
mod golden;
mod masking;
mod openapi;
mod security;
mod server;
mod support;
mod tls;
