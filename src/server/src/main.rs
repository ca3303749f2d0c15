//! The program. Everything it does is in the library beside it, so that tests see the same router.

use std::process::ExitCode;

use acestep_engine::memory::HugePages;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    acestep_server::cli::main()
}
