//! `alliance-chain`: runs, inspects and validates a node of the alliance chain.

mod cli;

fn main() -> std::process::ExitCode {
    caduceus_cli::run_main(cli::run)
}
