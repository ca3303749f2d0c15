//! The four launchers: what each line of their blocks becomes on the program's command line.
//!
//! The shell scripts are run with a stub in place of the program; the batch files are read as text, so that both
//! are checked on every system.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every variable of the studio's block with a value that only it can have, and the words it becomes.
const STUDIO: [(&str, &str, &[&str]); 19] = [
    ("PORT", "--port 7999", &["--port", "7999"]),
    (
        "SERVER_NAME",
        "--server-name 0.0.0.0",
        &["--server-name", "0.0.0.0"],
    ),
    ("LANGUAGE", "--language he", &["--language", "he"]),
    (
        "CONFIG_PATH",
        "--config_path acestep-v15-turbo",
        &["--config_path", "acestep-v15-turbo"],
    ),
    (
        "LM_MODEL_PATH",
        "--lm_model_path acestep-5Hz-lm-0.6B",
        &["--lm_model_path", "acestep-5Hz-lm-0.6B"],
    ),
    (
        "OFFLOAD_TO_CPU",
        "--offload_to_cpu true",
        &["--offload_to_cpu", "true"],
    ),
    (
        "OFFLOAD_DIT_TO_CPU",
        "--offload_dit_to_cpu true",
        &["--offload_dit_to_cpu", "true"],
    ),
    (
        "USE_FLASH_ATTENTION",
        "--use_flash_attention false",
        &["--use_flash_attention", "false"],
    ),
    ("COMPILE", "--compile false", &["--compile", "false"]),
    (
        "QUANTIZATION",
        "--quantization int8",
        &["--quantization", "int8"],
    ),
    ("DEVICE", "--device cpu", &["--device", "cpu"]),
    ("INIT_LLM", "--init_llm auto", &["--init_llm", "auto"]),
    (
        "INIT_SERVICE",
        "--init_service true",
        &["--init_service", "true"],
    ),
    ("ENABLE_API", "--enable-api", &["--enable-api"]),
    ("API_KEY", "--api-key sk-1", &["--api-key", "sk-1"]),
    (
        "AUTH_USERNAME",
        "--auth-username admin",
        &["--auth-username", "admin"],
    ),
    (
        "AUTH_PASSWORD",
        "--auth-password \"it's $(id) & more\"",
        &["--auth-password", "it's $(id) & more"],
    ),
    (
        "DOWNLOAD_SOURCE",
        "--download-source modelscope",
        &["--download-source", "modelscope"],
    ),
    (
        "OUTPUT_DIR",
        "--output-dir \"/my music\"",
        &["--output-dir", "/my music"],
    ),
];

/// The same for the API server, by name; the words are those of [`STUDIO`], save for the address.
const API_SERVER: [&str; 15] = [
    "HOST",
    "PORT",
    "API_KEY",
    "DOWNLOAD_SOURCE",
    "CONFIG_PATH",
    "LM_MODEL_PATH",
    "INIT_LLM",
    "INIT_SERVICE",
    "DEVICE",
    "USE_FLASH_ATTENTION",
    "OFFLOAD_TO_CPU",
    "OFFLOAD_DIT_TO_CPU",
    "COMPILE",
    "QUANTIZATION",
    "OUTPUT_DIR",
];

fn top_level() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(top_level().join(name))
        .unwrap()
        .replace("\r\n", "\n")
}

fn studio(name: &str) -> (&'static str, &'static [&'static str]) {
    let name = if name == "HOST" { "SERVER_NAME" } else { name };
    let (_, line, words) = STUDIO
        .iter()
        .find(|(variable, ..)| *variable == name)
        .unwrap();
    (line, words)
}

/// The script with a variable's line replaced, as an editor would do it; quoted so that the shell keeps it whole.
fn edited(script: &str, name: &str, value: &str) -> String {
    let quoted = value.replace('\'', "'\\''");
    let mut found = 0;
    let lines: Vec<String> = script
        .lines()
        .map(|line| {
            if line.starts_with(&format!("{name}=")) {
                found += 1;
                format!("{name}='{quoted}'")
            } else {
                line.to_owned()
            }
        })
        .collect();
    assert_eq!(found, 1, "{name} stands {found} times in the block");
    lines.join("\n") + "\n"
}

/// The script with every variable of its block empty.
fn cleared(script: &str, names: &[&str]) -> String {
    names
        .iter()
        .fold(script.to_owned(), |script, name| edited(&script, name, ""))
}

#[cfg(unix)]
mod shell {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// What the program would have been given: one argument a line, after a line with its folder.
    struct Run {
        arguments: Vec<String>,
        folder: String,
    }

    fn run(script: &str, more: &[&str], environment: &[(&str, &str)]) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a folder");
        fs::create_dir(&place).unwrap();
        let launcher = place.join("start.sh");
        fs::write(&launcher, script).unwrap();
        let stub = folder.path().join("stub");
        fs::write(
            &stub,
            "#!/bin/sh\npwd\nfor argument; do printf '%s\\n' \"$argument\"; done\n",
        )
        .unwrap();
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
        let output = Command::new("bash")
            .arg(&launcher)
            .args(more)
            .current_dir("/")
            .env("ACESTEP_BIN", &stub)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert_eq!(errors, "", "a start with a given program says nothing");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        Run {
            folder: lines.next().unwrap(),
            arguments: lines.collect(),
        }
    }

    fn names() -> Vec<&'static str> {
        STUDIO.iter().map(|(name, ..)| *name).collect()
    }

    #[test]
    fn each_variable_alone_becomes_its_words_and_nothing_else() {
        let empty = cleared(&read("start_acestep.sh"), &names());
        assert!(run(&empty, &[], &[]).arguments.is_empty());
        for (name, line, words) in STUDIO {
            assert_eq!(
                run(&edited(&empty, name, line), &[], &[]).arguments,
                words,
                "{name}"
            );
        }
        let empty = cleared(&read("start_api_server.sh"), &API_SERVER);
        for name in API_SERVER {
            let (line, words) = studio(name);
            let expected = [words, &["--enable-api", "--no-browser"]].concat();
            assert_eq!(
                run(&edited(&empty, name, line), &[], &[]).arguments,
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn all_variables_together_all_arrive() {
        let script = STUDIO
            .iter()
            .fold(read("start_acestep.sh"), |script, (name, line, _)| {
                edited(&script, name, line)
            });
        let arguments = run(&script, &[], &[]).arguments;
        for (name, _, words) in STUDIO {
            let at = arguments.iter().position(|argument| argument == words[0]);
            let at = at.unwrap_or_else(|| panic!("{name} is not forwarded"));
            assert_eq!(arguments[at..at + words.len()], *words, "{name}");
        }
        assert_eq!(
            arguments.len(),
            STUDIO
                .iter()
                .map(|(_, _, words)| words.len())
                .sum::<usize>()
        );
    }

    #[test]
    fn port_address_and_language_may_stand_without_their_flag() {
        let mut script = cleared(&read("start_acestep.sh"), &names());
        for (name, value) in [("PORT", "7861"), ("SERVER_NAME", "::1"), ("LANGUAGE", "ja")] {
            script = edited(&script, name, value);
        }
        let arguments = run(&script, &[], &[]).arguments;
        assert_eq!(
            arguments,
            ["--port", "7861", "--server-name", "::1", "--language", "ja"]
        );
    }

    #[test]
    fn as_shipped_the_model_is_loaded_before_the_page_opens() {
        let arguments = run(&read("start_acestep.sh"), &[], &[]).arguments;
        let expected = "--port 7860 --server-name 127.0.0.1 --language en --init_service true";
        assert_eq!(arguments.join(" "), expected);
        let arguments = run(&read("start_api_server.sh"), &[], &[]).arguments;
        let expected =
            "--server-name 127.0.0.1 --port 8001 --init_service true --enable-api --no-browser";
        assert_eq!(arguments.join(" "), expected);
    }

    #[test]
    fn a_line_commented_out_is_not_set_whatever_the_environment_says() {
        let shipped = read("start_acestep.sh");
        let line = "INIT_SERVICE=\"--init_service true\"";
        assert!(shipped.contains(&format!("\n{line}\n")));
        let script = shipped.replace(line, &format!("# {line}"));
        let environment = [
            ("INIT_SERVICE", "--init_service true"),
            ("LANGUAGE", "de_DE:de"),
            ("DEVICE", "x"),
        ];
        let arguments = run(&script, &[], &environment).arguments;
        assert_eq!(
            arguments,
            [
                "--port",
                "7860",
                "--server-name",
                "127.0.0.1",
                "--language",
                "en"
            ]
        );
    }

    #[test]
    fn the_lines_of_the_guide_work_as_they_are_printed() {
        let mut script = read("start_acestep.sh");
        for line in [
            "USE_FLASH_ATTENTION=\"--use_flash_attention false\"",
            "CONFIG_PATH=\"--config_path acestep-v15-turbo\"",
            "LM_MODEL_PATH=\"--lm_model_path acestep-5Hz-lm-0.6B\"",
            "OFFLOAD_TO_CPU=\"--offload_to_cpu true\"",
        ] {
            // "Add this line in the Service Configuration section", after the one that is there.
            let name = line.split('=').next().unwrap();
            let shipped = format!("\n{name}=\"\"\n");
            assert!(script.contains(&shipped), "{name}");
            script = script.replace(&shipped, &format!("{shipped}{line}\n"));
        }
        let arguments = run(&script, &[], &[]).arguments.join(" ");
        assert!(
            arguments
                .contains("--config_path acestep-v15-turbo --lm_model_path acestep-5Hz-lm-0.6B"),
            "{arguments}"
        );
        assert!(
            arguments.contains("--offload_to_cpu true --use_flash_attention false"),
            "{arguments}"
        );
    }

    #[test]
    fn nothing_in_a_value_is_executed_or_expanded() {
        let folder = tempfile::tempdir().unwrap();
        let witness = folder.path().join("witness");
        let value = format!(
            "--auth-password='$(touch {0}) `touch {0}` * ; touch {0}'",
            witness.display()
        );
        let script = edited(
            &cleared(&read("start_acestep.sh"), &names()),
            "AUTH_PASSWORD",
            &value,
        );
        let arguments = run(&script, &[], &[]).arguments;
        assert_eq!(arguments, [value.replace('\'', "")]);
        assert!(!witness.exists());
        // No quotes, and a password with one inside.
        let script = edited(&script, "AUTH_PASSWORD", "--auth-password it's*$HOME");
        assert_eq!(
            run(&script, &[], &[]).arguments,
            ["--auth-password", "it's*$HOME"]
        );
    }

    #[test]
    fn the_command_line_comes_last_and_the_program_runs_beside_the_launcher() {
        let run = run(
            &read("start_acestep.sh"),
            &["--no-browser", "--port", "9000", "two words"],
            &[],
        );
        assert!(run.arguments.ends_with(&[
            "--no-browser".into(),
            "--port".into(),
            "9000".into(),
            "two words".into()
        ]));
        assert!(run.folder.ends_with("a folder"), "{}", run.folder);
    }

    #[test]
    fn without_rust_one_sentence_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let launcher = folder.path().join("start.sh");
        fs::write(&launcher, read("start_acestep.sh")).unwrap();
        let tools = folder.path().join("bin");
        fs::create_dir(&tools).unwrap();
        std::os::unix::fs::symlink("/usr/bin/dirname", tools.join("dirname")).unwrap();
        let output = Command::new("/bin/bash")
            .arg(&launcher)
            .env("PATH", &tools)
            .env("HOME", folder.path())
            .env_remove("ACESTEP_BIN")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert_eq!(
            errors.trim(),
            "Rust is missing. Install it from https://rustup.rs, then start again."
        );
    }
}

/// What a batch file's block sets at first, its clearing line and its start lines.
struct Batch {
    text: String,
}

impl Batch {
    fn open(name: &str) -> Self {
        Self { text: read(name) }
    }

    /// Lines that start the program.
    fn starts(&self) -> Vec<&str> {
        self.text
            .lines()
            .filter(|line| line.starts_with("\"%PROGRAM%\""))
            .collect()
    }

    /// Lines `set NAME=…` of the block.
    fn set(&self, name: &str) -> Vec<&str> {
        let block = self.text.split("Nothing to edit below").next().unwrap();
        block
            .lines()
            .filter(|line| line.starts_with(&format!("set {name}=")))
            .collect()
    }

    fn cleared(&self) -> Vec<&str> {
        let line = self
            .text
            .lines()
            .find(|line| line.starts_with("for %%v in ("))
            .unwrap();
        line["for %%v in (".len()..line.find(')').unwrap()]
            .split(' ')
            .collect()
    }
}

#[test]
fn batch_files_forward_every_variable_in_every_start_line() {
    let studio: Vec<&str> = STUDIO.iter().map(|(name, ..)| *name).collect();
    for (name, variables) in [
        ("start_acestep.bat", studio.as_slice()),
        ("start_api_server.bat", &API_SERVER),
    ] {
        let batch = Batch::open(name);
        let starts = batch.starts();
        assert!(!starts.is_empty(), "{name} starts nothing");
        assert_eq!(
            batch.text.matches("\"%PROGRAM%\"").count(),
            starts.len(),
            "{name} starts the program elsewhere"
        );
        for variable in variables {
            assert_eq!(
                batch.set(variable).len(),
                1,
                "{name}: {variable} stands once in the block"
            );
            assert!(
                batch.cleared().contains(variable),
                "{name}: {variable} is taken from the environment"
            );
            for start in &starts {
                let word = format!("%{variable}%");
                assert_eq!(
                    start.split(' ').filter(|part| *part == word).count(),
                    1,
                    "{name}: {variable} in {start}"
                );
            }
        }
        // Nothing is set that is not forwarded.
        let block = batch.text.split("Nothing to edit below").next().unwrap();
        for line in block.lines().filter_map(|line| line.strip_prefix("set ")) {
            let variable = line.split('=').next().unwrap();
            assert!(
                variables.contains(&variable),
                "{name}: {variable} is set and not forwarded"
            );
        }
        assert!(
            starts.iter().all(|start| start.ends_with("%*")),
            "{name}: the command line comes last"
        );
    }
}

#[test]
fn batch_files_take_the_lines_of_the_guide() {
    let batch = Batch::open("start_acestep.bat");
    assert_eq!(
        batch.set("INIT_SERVICE"),
        ["set INIT_SERVICE=--init_service true"]
    );
    // `REM set INIT_SERVICE=…` leaves what the clearing line left: nothing, and a later line replaces an earlier.
    assert!(batch.cleared().contains(&"INIT_SERVICE"));
    for line in [
        "set USE_FLASH_ATTENTION=--use_flash_attention false",
        "set CONFIG_PATH=--config_path acestep-v15-turbo",
        "set LM_MODEL_PATH=--lm_model_path acestep-5Hz-lm-0.6B",
        "set OFFLOAD_TO_CPU=--offload_to_cpu true",
    ] {
        assert!(
            batch.text.contains(&format!("REM {line}\n")),
            "{line} is offered"
        );
        let section = batch.text.find("= Service Configuration =").unwrap();
        assert!(
            batch.text.rfind(line).unwrap() > section,
            "{line} belongs to Service Configuration"
        );
    }
    // The three that may stand alone get their flag.
    for (name, flag) in [
        ("PORT", "--port"),
        ("SERVER_NAME", "--server-name"),
        ("LANGUAGE", "--language"),
    ] {
        let line =
            format!("if defined {name} if not \"%{name}:~0,1%\"==\"-\" set {name}={flag} %{name}%");
        assert!(batch.text.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn both_kinds_ship_with_the_same_block() {
    for (shell, batch) in [
        ("start_acestep.sh", "start_acestep.bat"),
        ("start_api_server.sh", "start_api_server.bat"),
    ] {
        let batch = Batch::open(batch);
        for name in batch.cleared() {
            let value = batch.set(name)[0].split_once('=').unwrap().1.to_owned();
            let line = read(shell)
                .lines()
                .find(|line| line.starts_with(&format!("{name}=")))
                .unwrap_or_else(|| panic!("{shell} has no {name}"))
                .to_owned();
            assert_eq!(
                line.split_once('=').unwrap().1.trim_matches('"'),
                value,
                "{name} in {shell}"
            );
        }
    }
}

#[test]
fn batch_files_reach_windows_with_its_line_ends() {
    let attributes = read(".gitattributes");
    assert!(attributes.lines().any(|line| line == "*.bat text eol=crlf"));
    assert!(attributes.lines().any(|line| line == "*.sh text eol=lf"));
}
