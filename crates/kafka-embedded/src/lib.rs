//! kafka-embedded
