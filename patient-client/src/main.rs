//! The patient's program: commands over the library of the same package.

mod cli;

fn main() -> std::process::ExitCode {
    caduceus_cli::run_main(cli::run)
}
