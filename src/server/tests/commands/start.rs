//! What the program is before it makes anything: its threads, its page.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use super::{json_of, program, run, stderr};

#[test]
fn as_many_threads_compute_as_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for threads in ["1", "3"] {
        let words = [
            "bench",
            "song",
            "--duration",
            "10",
            "--json",
            "--threads",
            threads,
        ];
        let output = run(folder.path(), &words, "");
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(json_of(&output)["threads"].to_string(), threads);
    }
}

#[test]
fn a_language_model_is_measured_as_it_is_loaded_for_songs() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |more: &[&str]| {
        let few = ["--prompt", "8", "--steps", "2", "--times", "1", "--json"];
        let words = [&["bench", "lm", "--device", "cpu"], &few[..], more].concat();
        let output = run(folder.path(), &words, "");
        assert!(output.status.success(), "{}", stderr(&output));
        json_of(&output)["resident_bytes"].as_u64().unwrap()
    };
    let packed = bytes(&[]);
    assert_eq!(packed, bytes(&["--compile", "true"]));
    assert!(packed < bytes(&["--compile", "false"]));
}

/// Ends with its test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_page_is_at_the_address_that_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command
        .args(["serve", "--no-browser", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut studio = Running(command.spawn().unwrap());
    let mut said = BufReader::new(studio.0.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let (_, address) = line.trim().split_once("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.to_lowercase().contains("<!doctype html>"), "{page}");
    assert!(page.contains("ACE-Step"), "{page}");
}
