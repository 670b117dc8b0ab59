//! What each key of the file reaches.
