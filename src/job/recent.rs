//! Things that are open for a while: rasters and the ways to their pixels.

use crate::error::Result;

/// What was used last, of things that are opened when they are needed; the one used longest ago is closed when there are many.
pub(super) struct Recent<V> {
    limit: usize,
    clock: u64,
    open: Vec<(usize, u64, V)>,
}

impl<V> Recent<V> {
    /// Nothing open yet, and so many at most.
    pub fn new(limit: usize) -> Self {
        Self { limit, clock: 0, open: Vec::new() }
    }

    /// The thing with a number, made when it is not open.
    ///
    /// # Errors
    /// Those of making it.
    pub fn get(&mut self, number: usize, make: impl FnOnce() -> Result<V>) -> Result<&mut V> {
        self.clock += 1;
        let found = self.open.iter().position(|(n, ..)| *n == number);
        if found.is_none() {
            let oldest = self.open.iter().enumerate().min_by_key(|(_, (_, used, _))| *used);
            if let Some((oldest, _)) = oldest.filter(|_| self.open.len() >= self.limit) {
                self.open.swap_remove(oldest);
            }
            self.open.push((number, 0, make()?));
        }
        let found = found.unwrap_or(self.open.len() - 1);
        let (_, used, value) = &mut self.open[found];
        *used = self.clock;
        Ok(value)
    }
}
