//! Lower levels.
