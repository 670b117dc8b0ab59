//! The router over a scripted herder, and the server over sockets.

mod bad_input;
mod forwarding;
mod golden;
mod openapi;
mod server;
mod support;
