//! Readers, pool, writer.
