//! One flag that ends the demo in order: a signal, a closed output or a lost parent raises it, every wait heeds it.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::error::{Error, Result};

/// The flag; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    raised: Arc<watch::Sender<bool>>,
}

impl Interrupt {
    /// A flag that is down.
    pub(super) fn new() -> Self {
        Self { raised: Arc::new(watch::Sender::new(false)) }
    }

    /// Raises it; it is never lowered.
    pub(super) fn raise(&self) {
        self.raised.send_replace(true);
    }

    /// Lets Ctrl-C and its relatives raise it, each time they come.
    pub(super) fn raise_on_signals(&self) -> Result<()> {
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).map_err(Error::io("listen to", "signals".as_ref()))?;
            let interrupt = self.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    interrupt.raise();
                }
            });
        }
        Ok(())
    }

    /// Stops the caller once it is up.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_raised() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Whether it is up.
    pub(super) fn is_raised(&self) -> bool {
        *self.raised.borrow()
    }

    /// Waits until it is up.
    pub(super) async fn wait(&self) {
        let mut receiver = self.raised.subscribe();
        // The sender lives in `self`, so the wait ends only when the flag is up.
        let _ = receiver.wait_for(|raised| *raised).await;
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Self::new()
    }
}
