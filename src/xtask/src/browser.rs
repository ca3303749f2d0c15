//! The browser tests: Playwright on the real program.

use crate::{
    setup,
    shell::{Workspace, run},
};
use anyhow::Result;
use std::path::Path;

/// Runs `end2end` against `binary`; Playwright prints what passed and what did not.
pub(crate) fn test(workspace: &Workspace, binary: &Path) -> Result<()> {
    let chromium = setup::chromium(workspace)?;
    let folder = workspace.root.join("end2end");
    run(workspace
        .program("node")
        .current_dir(&folder)
        .args(["node_modules/@playwright/test/cli.js", "test"])
        .env("ACESTEP_BIN", binary)
        .env("CHROMIUM_PATH", chromium))
}
