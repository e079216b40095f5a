//! How long a start may take.

use std::time::Duration;

setters! {
    //! # The time for a start

    /// Limits how long a start may take, 10 s by default. A start is over when all
    /// settings of the new process are applied, or when it has executed its program.
    start_timeout(patience: Duration) {
        /// Forks take the limit over. It also holds for a preload, whose limit is 60 s
        /// by default. It does not limit what a worker does after its start.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// #[zygote::preload]
        /// fn never() {
        ///     std::thread::sleep(Duration::from_secs(3600));
        /// }
        ///
        /// let process = zygote::Process::new()?.start_timeout(Duration::from_millis(20));
        /// assert!(process.preload(never::task()).unwrap_err().is_timeout());
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }
}
