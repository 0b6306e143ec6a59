//! Halving blocks for the pyramid.
