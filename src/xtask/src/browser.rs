//! The browser tests: Playwright on the real program.

use crate::{
    setup,
    shell::{Workspace, run, run_keeping},
};
use anyhow::Result;
use std::path::Path;

/// Runs `end2end` against `binary`; Playwright prints what passed and what did not.
pub(crate) fn test(workspace: &Workspace, binary: &Path, quotes: &mut Vec<String>) -> Result<()> {
    let chromium = setup::chromium(workspace)?;
    let node = |arguments: &[&str]| {
        let mut command = workspace.program("node");
        command
            .current_dir(workspace.root.join("end2end"))
            .args(arguments);
        command
    };
    // Playwright drops types without reading them, so a slip in a test would show as a wait that never ends.
    run(&mut node(&["node_modules/typescript/bin/tsc"]))?;
    let mut playwright = node(&["node_modules/@playwright/test/cli.js", "test"]);
    playwright
        .env("ACESTEP_BIN", binary)
        .env("CHROMIUM_PATH", chromium);
    run_keeping(&mut playwright, is_result, quotes)
}

/// Playwright's closing lines: "32 passed (1.2m)", "1 failed" and their like.
fn is_result(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let number = words.next().is_some_and(|word| word.parse::<u32>().is_ok());
    number
        && matches!(
            words.next(),
            Some("passed" | "failed" | "flaky" | "skipped" | "interrupted")
        )
}

#[cfg(test)]
mod tests {
    use super::is_result;

    #[test]
    fn closing_lines_are_told_from_progress() {
        assert!(is_result("  32 passed (1.2m)") && is_result("  1 failed"));
        assert!(!is_result(
            "  ✓  3 [desktop] › tests/a.spec.ts:3:1 › 2 passed"
        ));
    }
}
