//! A running node takes up the deeds of its operators.

use super::file::DeedFiles;
use async_trait::async_trait;
use caduceus_cli::CliError;
use caduceus_network::exchange::Deed;
use caduceus_node::NodeHome;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long a deed that finds no entry waits before it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Where deeds get their entries.
#[async_trait]
pub trait DeedSink: Send + Sync + 'static {
    /// Has a deed committed. Repeated after an error.
    ///
    /// # Errors
    /// Why it could not be, for the node's log.
    async fn log(&self, deed: &Deed) -> Result<(), String>;
}

/// Drains the folder of a node, from now on until the handle is aborted.
///
/// # Errors
/// Failure, when the folder cannot be used or another process drains it.
pub fn drain_deeds(home: &NodeHome, sink: impl DeedSink) -> Result<JoinHandle<()>, CliError> {
    let files = DeedFiles::of(home)?;
    let lock = files.take()?;
    Ok(tokio::spawn(async move {
        // Held while the task runs.
        let _lock = lock;
        loop {
            let pause = match once(&files, &sink).await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::warn!(%error, "an operator's deed waits for its entry");
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }))
}

async fn once(files: &DeedFiles, sink: &impl DeedSink) -> Result<(), String> {
    for (name, deed) in files.waiting().map_err(|error| error.what)? {
        match deed {
            Some(deed) => sink.log(&deed).await?,
            None => {
                // Nothing can be entered for it; it stays as it is for whoever looks into it.
                tracing::error!(file = %name, "an operator's deed was altered and does not open");
                continue;
            }
        }
        files.remove(&name).map_err(|error| error.what)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{SecretKey, TimeMillis};
    use caduceus_network::exchange::{DeedKind, DeedOutcome};
    use rand_core::OsRng;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Flaky(Arc<Mutex<(u32, Vec<u64>)>>);

    #[async_trait]
    impl DeedSink for Flaky {
        async fn log(&self, deed: &Deed) -> Result<(), String> {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            if state.0 == 2 {
                return Err("not now".into());
            }
            state.1.push(deed.time.0);
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_deed_is_entered_once_in_order_and_waits_while_it_cannot_be() {
        let home = tempfile::tempdir().unwrap();
        let key = SecretKey::generate(&mut OsRng);
        let files = DeedFiles::open(home.path(), &key).unwrap();
        for n in 1..=3 {
            let deed = Deed {
                time: TimeMillis(n),
                program: "alliance-chain".into(),
                node: "node-0".into(),
                kind: DeedKind::Update,
                command: "members admit".into(),
                operator: String::new(),
                outcome: DeedOutcome::Success,
                reason: String::new(),
                request: [0; 16],
            };
            files.write(&deed).unwrap();
        }
        let sink = Flaky::default();
        assert!(once(&files, &sink).await.is_err());
        assert_eq!(files.waiting().unwrap().len(), 2);
        once(&files, &sink).await.unwrap();
        assert_eq!(sink.0.lock().unwrap().1, [1, 2, 3]);
        assert!(files.waiting().unwrap().is_empty());
    }
}
