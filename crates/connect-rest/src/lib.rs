//! REST over the herder: the only crate that will know status codes and REST JSON. Nothing is here yet; its place and its
//! edges are, so that the worker grows towards it (docs/ROADMAP.md).
