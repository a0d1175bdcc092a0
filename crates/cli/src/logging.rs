//! Logs on standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging at the level that `-v` asks for; `CADUCEUS_LOG` (the directives of `tracing`'s
/// `EnvFilter`) overrides it. A second call changes nothing.
pub(crate) fn init(verbose: u8, quiet: bool) {
    let directives = match verbose {
        0 if quiet => "off",
        // The consensus engine reports each lost connection as an error; what matters of it the node says itself.
        0 => "warn,libp2p=error,yamux=error,arc_malachitebft=off",
        1 => "info,libp2p=error,yamux=error,arc_malachitebft=error",
        2 => "debug,libp2p=warn,yamux=error,arc_malachitebft=warn",
        _ => "trace",
    };
    let filter =
        EnvFilter::try_from_env("CADUCEUS_LOG").unwrap_or_else(|_| EnvFilter::new(directives));
    // Fails only when a subscriber is there already, as in tests.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
