//! `private-chain`: runs, inspects and validates a node of a hospital's private chain.

mod cli;

fn main() -> std::process::ExitCode {
    caduceus_cli::run_main(cli::run)
}
