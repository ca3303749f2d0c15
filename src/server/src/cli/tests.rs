use std::collections::BTreeSet;

use clap::{Parser, error::ErrorKind};

use super::{Cli, command};

fn refused(words: &[&str]) -> clap::Error {
    match Cli::try_parse_from(words) {
        Ok(_) => panic!("{words:?} was accepted"),
        Err(error) => error,
    }
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

/// Old batch files use either spelling, so every flag of several words has both.
#[test]
fn every_flag_has_both_spellings() {
    fn check(command: &clap::Command) {
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            let spellings: BTreeSet<&str> = arg
                .get_all_aliases()
                .unwrap_or_default()
                .into_iter()
                .chain([long])
                .collect();
            for other in [long.replace('-', "_"), long.replace('_', "-")] {
                assert!(
                    spellings.contains(other.as_str()),
                    "--{other} in {}",
                    command.get_name()
                );
            }
        }
        command.get_subcommands().for_each(check);
    }
    check(&command());
}

/// Every flag of the original's launcher, as batch files give it.
#[test]
fn the_originals_flags_are_accepted() {
    for serve in [&[][..], &["serve"]] {
        let mut words = vec!["acestep"];
        words.extend(serve);
        words.extend(
            "--port 7861 --server-name 127.0.0.1 --share --debug --language he --allowed-path /a \
             --allowed-path /b --service_mode false --init_service true --checkpoint x \
             --config_path acestep-v15-turbo --device cpu --init_llm auto \
             --lm_model_path acestep-5Hz-lm-0.6B --backend vllm --use_flash_attention auto \
             --offload_to_cpu true --offload_dit_to_cpu no --download-source modelscope \
             --enable-api --api-key k --auth-username u --auth-password p --compile off \
             --quantization int8 --output-dir /tmp/x --no-browser --unlimited"
                .split_whitespace(),
        );
        let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(cli.command.is_some(), !serve.is_empty());
    }
}

#[test]
fn a_bad_value_is_named_with_what_is_allowed() {
    for (flag, value, allowed) in [
        ("--init_service", "maybe", "allowed: true, false"),
        ("--init-service", "auto", "allowed: true, false"),
        ("--offload_to_cpu", "2", "allowed: true, false"),
        (
            "--use_flash_attention",
            "fast",
            "allowed: auto, true, false",
        ),
        ("--init_llm", "", "allowed: auto, true, false"),
        ("--compile", "none", "allowed: true, false"),
        ("--quantization", "int2", "allowed: none, int8, int4"),
        (
            "--device",
            "tpu",
            "allowed: auto, cuda, cuda:INDEX, cuda:NAME, mps, cpu",
        ),
        ("--port", "70000", "allowed: 0 to 65535"),
        ("--language", "fr", "en, zh, he, ja"),
        ("--download-source", "ftp", "huggingface"),
    ] {
        let error = refused(&["acestep", flag, value]);
        assert_eq!(error.exit_code(), 2, "{flag}");
        let text = error.to_string();
        for part in [
            flag.replace("init-service", "init_service").as_str(),
            value,
            allowed,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn a_wrong_flag_is_no_silent_default() {
    let error = refused(&["acestep", "--use_flash_atention", "false"]);
    assert_eq!(error.kind(), ErrorKind::UnknownArgument);
    assert!(
        error.to_string().contains("--use_flash_attention"),
        "{error}"
    );
    assert_eq!(
        refused(&["acestep", "generate"]).kind(),
        ErrorKind::MissingRequiredArgument
    );
}

#[test]
fn help_is_grouped() {
    let help = command().render_long_help().to_string();
    for group in [
        "Address and page:",
        "Access:",
        "Models and memory:",
        "Start and files:",
        "Accepted for old launchers:",
    ] {
        assert!(help.contains(group), "{group}");
    }
    let command = command().term_width(100);
    let mut help = command.clone().render_help().to_string();
    for sub in ["generate", "plan", "inspect", "vae"] {
        if let Some(sub) = command.find_subcommand(sub) {
            help += &format!("\n=== {sub}\n{}", sub.clone().term_width(100).render_help());
        }
    }
    insta::assert_snapshot!(help);
}
