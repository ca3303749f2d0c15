//! The program. Everything it does is in the library beside it, so that tests see the same router.

use std::process::ExitCode;

fn main() -> ExitCode {
    acestep_server::cli::main()
}
