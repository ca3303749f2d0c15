use clap::Parser;

use super::{Cli, command};

fn usage_error(args: &[&str]) -> String {
    Cli::try_parse_from(std::iter::once(&"acestep").chain(args))
        .expect_err("refused")
        .to_string()
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_flag_of_the_original_works_under_both_spellings() {
    for flag in [
        "server-name",
        "config_path",
        "device",
        "lm_model_path",
        "init_llm",
        "use_flash_attention",
        "offload_to_cpu",
        "offload_dit_to_cpu",
        "init_service",
        "service_mode",
        "download-source",
        "api-key",
        "auth-username",
        "auth-password",
        "backend",
        "checkpoint",
        "allowed-path",
        "output-dir",
    ] {
        let value = match flag {
            "device" => "cpu",
            "download-source" => "auto",
            flag if flag.contains("init")
                || flag.contains("offload")
                || flag.contains("use_")
                || flag.contains("mode") =>
            {
                "true"
            }
            _ => "x",
        };
        for spelling in [flag.replace('_', "-"), flag.replace('-', "_")] {
            let args = [
                "acestep".to_owned(),
                format!("--{spelling}"),
                value.to_owned(),
            ];
            assert!(Cli::try_parse_from(&args).is_ok(), "{args:?}");
        }
    }
    for switch in [
        "--share",
        "--debug",
        "--enable-api",
        "--enable_api",
        "--no-browser",
        "--unlimited",
    ] {
        assert!(Cli::try_parse_from(["acestep", switch]).is_ok(), "{switch}");
    }
}

#[test]
fn booleans_are_strict_and_the_message_says_what_is_allowed() {
    for good in ["true", "FALSE", "1", "0", "yes", "No", "on", "off"] {
        assert!(
            Cli::try_parse_from(["acestep", "--init_service", good]).is_ok(),
            "{good}"
        );
        assert!(
            Cli::try_parse_from(["acestep", "--use_flash_attention", good]).is_ok(),
            "{good}"
        );
    }
    for flag in [
        "--init_service",
        "--init_llm",
        "--use_flash_attention",
        "--offload_to_cpu",
        "--compile",
    ] {
        let message = usage_error(&[flag, "maybe"]);
        assert!(
            message.contains("maybe") && message.contains("true, false"),
            "{message}"
        );
    }
    assert!(Cli::try_parse_from(["acestep", "--init_llm", "auto"]).is_ok());
    assert!(Cli::try_parse_from(["acestep", "--use_flash_attention", "auto"]).is_ok());
    assert!(usage_error(&["--init_service", "auto"]).contains("auto"));
}

#[test]
fn wrong_values_are_named() {
    assert!(usage_error(&["--port", "99999"]).contains("99999"));
    assert!(usage_error(&["--quantization", "int3"]).contains("none, int8, int4"));
    assert!(usage_error(&["--device", "tpu"]).contains("auto, cuda, mps, cpu"));
    assert!(usage_error(&["--language", "fr"]).contains("fr"));
    assert!(usage_error(&["--no-such-flag"]).contains("--no-such-flag"));
}
