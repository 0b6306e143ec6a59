//! Asking a server again for what it failed to send.
//!
//! GDAL itself asks again after a status that says so and after a connection that broke before the first byte; an answer that ends
//! too early it hands on as pixels that cannot be unpacked.

use std::time::{Duration, Instant};

/// Waits before each further attempt.
const WAITS: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];

/// When so much time has passed, the server has been waited for long enough: GDAL has made its own attempts meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first result, or that of a later attempt when it is an error.
///
/// # Errors
/// That of the last attempt.
pub(super) fn patiently<T, E>(first: Result<T, E>, mut again: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let begun = Instant::now();
    let mut result = first;
    for wait in WAITS {
        if result.is_ok() || begun.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(wait);
        result = again();
    }
    result
}
