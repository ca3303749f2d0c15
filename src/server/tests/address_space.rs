//! Address space that ends (`ulimit -v`): a command ends as with any error, whichever allocation, map or
//! thread is the first that it cannot have.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{path::Path, process::Output};

use program::{program, stderr, with_input};

const SONG: &str = r#"{"caption": "x", "duration": 1, "inference_steps": 1, "batch_size": 1}"#;

/// The program with `words` and so many KiB of addresses.
fn limited(folder: &Path, kib: u64, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let itself = program(folder);
    let mut shell = std::process::Command::new("sh");
    for (name, _) in itself.get_envs() {
        shell.env_remove(name);
    }
    shell
        .current_dir(folder)
        .env_remove("RUST_BACKTRACE")
        .envs(variables.iter().copied())
        .args(["-c", "ulimit -c 0; ulimit -v \"$0\"; exec \"$@\""])
        .arg(kib.to_string())
        .arg(itself.get_program())
        .args(words);
    with_input(&mut shell, SONG)
}

/// The least that the system itself can start the program with.
fn least(folder: &Path) -> u64 {
    let starts = |kib: u64| limited(folder, kib, &["--version"], &[]).status.success();
    let mut kib = 64 << 10;
    while !starts(kib) {
        kib += 4 << 10;
        assert!(kib < 8 << 20, "it does not start");
    }
    kib
}

#[test]
fn a_command_that_has_too_few_addresses_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["generate", "--params", "-", "--output", "song.wav"];
    let least = least(folder.path());
    let mut refused = 0;
    // More is not always better: with little the system's allocator and threads take less for themselves.
    for kib in (least..).step_by(5 << 10).take(24) {
        let output = limited(folder.path(), kib, &words, &[]);
        let said = stderr(&output);
        match output.status.code() {
            Some(0) => continue,
            Some(1) => {}
            other => panic!("{kib} KiB: {other:?}: {said}"),
        }
        let last = said.trim_end().lines().last().unwrap();
        assert!(last.starts_with("error: "), "{kib} KiB: {said}");
        assert!(!said.contains("panicked"), "{kib} KiB: {said}");
        refused += 1;
    }
    assert!(refused > 0, "nothing was refused from {least} KiB on");
}

#[test]
fn threads_that_cannot_be_had_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let large = [("RUST_MIN_STACK", "100000000000")];
    let limit = 8 << 20;
    for (words, json) in [
        (
            &["generate", "--params", "-", "--output", "song.wav"][..],
            false,
        ),
        (&["plan", "--json"], true),
        (&["serve", "--no-browser", "--port", "0"], false),
    ] {
        let output = limited(folder.path(), limit, words, &large);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.starts_with("error: Threads"), "{words:?}: {said}");
        assert!(said.contains("--threads 1"), "{words:?}: {said}");
        if json {
            let told = program::json_of(&output);
            assert_eq!(told["error"]["code"], "threads");
        }
    }
    let output = limited(folder.path(), limit, &["download"], &large);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
