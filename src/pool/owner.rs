//! What all handles on a pool share: the pool ends with the last of them.

use std::sync::Arc;

use super::shared::Shared;

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
}

impl Drop for Owner {
    /// Does not wait: the thread ends when the calls that were made are done. In a copy
    /// of the program there is no thread.
    fn drop(&mut self) {
        if self.shared.is_current() {
            self.shared.close();
        }
    }
}
