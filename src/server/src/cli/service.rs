//! Flags that say which models to load and how; shared by `serve`, `plan` and `generate`.

use std::path::PathBuf;

use acestep_domain::{
    note::Note,
    service::{DeviceName, Quantization, ServiceConfig},
};
use acestep_studio::download::DownloadOptions;
use clap::Args;

use super::values::{self, AutoSwitch, DownloadSource};
use crate::env::Environment;

/// Models and memory.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models and memory")]
pub(crate) struct ServiceArgs {
    /// Folder with the checkpoints [default: checkpoints]
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoints: Option<PathBuf>,
    /// Main model: a folder or GGUF file in the checkpoints folder, by its name [default: acestep-v15-turbo when installed, else the first by name, else the built-in one]
    #[arg(long = "config_path", alias = "config-path", value_name = "NAME")]
    pub(crate) config_path: Option<String>,
    /// auto, cuda, cuda:INDEX or cuda:NAME (one card of several), mps or cpu [default: auto]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceName>,
    /// Language model: a folder name in the checkpoints folder
    #[arg(long = "lm_model_path", alias = "lm-model-path", value_name = "NAME")]
    pub(crate) lm_model_path: Option<String>,
    /// Load a language model: auto (by tier), true or false [default: auto]
    #[arg(long = "init_llm", alias = "init-llm", value_name = "auto|BOOL")]
    pub(crate) init_llm: Option<AutoSwitch>,
    /// Fused attention: auto, true or false [default: auto]
    #[arg(
        long = "use_flash_attention",
        alias = "use-flash-attention",
        value_name = "auto|BOOL"
    )]
    pub(crate) use_flash_attention: Option<AutoSwitch>,
    /// Weights wait in host memory: true or false [default: by card]
    #[arg(long = "offload_to_cpu", alias = "offload-to-cpu", value_name = "BOOL", value_parser = values::switch)]
    pub(crate) offload_to_cpu: Option<bool>,
    /// The diffusion model's weights too: true or false [default: by card]
    #[arg(long = "offload_dit_to_cpu", alias = "offload-dit-to-cpu", value_name = "BOOL", value_parser = values::switch)]
    pub(crate) offload_dit_to_cpu: Option<bool>,
    /// Fused and prepacked weights: true or false [default: by card]
    #[arg(long, value_name = "BOOL", value_parser = values::switch)]
    pub(crate) compile: Option<bool>,
    /// Format of the weights: none, int8 or int4 [default: by card]
    #[arg(long, value_name = "FORMAT", value_parser = values::quantization)]
    pub(crate) quantization: Option<Quantization>,
    /// Lift the limits of a machine without a card: its memory is not VRAM
    #[arg(long)]
    pub(crate) unlimited: bool,
    /// vllm, pt or mlx: accepted for old launchers, there is one engine
    #[arg(long, value_name = "NAME", help_heading = "Accepted for old launchers")]
    pub(crate) backend: Option<String>,
}

/// Where adapters lie; of the commands that make songs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models and memory")]
pub(crate) struct LoraArgs {
    /// Folder with the adapters, or one adapter [default: loras beside the checkpoints]
    #[arg(long = "lora_path", alias = "lora-path", value_name = "DIR")]
    lora_path: Option<PathBuf>,
}

/// Where released checkpoints are downloaded from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models and memory")]
pub(crate) struct DownloadSourceArgs {
    /// Hub that released checkpoints are downloaded from: auto (the first that answers), huggingface or modelscope [default: auto]
    #[arg(long = "download-source", alias = "download_source", value_name = "HUB", value_parser = values::download_source)]
    download_source: Option<DownloadSource>,
}

impl DownloadSourceArgs {
    /// Flag over environment, and where the hubs are.
    pub(crate) fn options(
        &self,
        environment: &Environment,
        notes: &mut Vec<Note>,
    ) -> DownloadOptions {
        let source = self
            .download_source
            .or_else(|| environment.parsed("--download-source", values::download_source, notes));
        DownloadOptions {
            source: source.and_then(|source| source.0),
            endpoints: environment.hub_endpoints(),
            ..DownloadOptions::default()
        }
    }
}

impl LoraArgs {
    /// The folder with the adapters; it may be missing.
    pub(crate) fn dir(&self, service: &ServiceArgs) -> PathBuf {
        self.lora_path
            .clone()
            .unwrap_or_else(|| service.root().with_file_name("loras"))
    }
}

impl ServiceArgs {
    fn device(&self, environment: &Environment, notes: &mut Vec<Note>) -> DeviceName {
        self.device
            .clone()
            .or_else(|| environment.parsed("--device", str::parse, notes))
            .unwrap_or_default()
    }

    /// Index or part of the name of the card to use, where one is asked for.
    pub(crate) fn card(&self, environment: &Environment) -> Option<String> {
        // What is wrong with it is told with the other flags.
        self.device(environment, &mut Vec::new()).card
    }

    /// The folder with the checkpoints; it may be missing.
    pub(crate) fn root(&self) -> PathBuf {
        self.checkpoints
            .clone()
            .unwrap_or_else(|| PathBuf::from("checkpoints"))
    }

    /// What is asked of the service: flags over environment; and notes for environment values that
    /// are not understood and flags without effect.
    pub(crate) fn config(&self, environment: &Environment) -> (ServiceConfig, Vec<Note>) {
        let mut notes = Vec::new();
        let mut auto = |flag: &str, given: Option<AutoSwitch>| match given {
            Some(switch) => switch.0,
            None => environment
                .parsed(flag, str::parse::<AutoSwitch>, &mut notes)
                .and_then(|switch| switch.0),
        };
        let init_llm = auto("--init_llm", self.init_llm);
        let use_flash_attention = auto("--use_flash_attention", self.use_flash_attention);
        let mut switch = |flag: &str, given: Option<bool>| {
            given.or_else(|| environment.parsed(flag, values::switch, &mut notes))
        };
        let offload_to_cpu = switch("--offload_to_cpu", self.offload_to_cpu);
        let offload_dit_to_cpu = switch("--offload_dit_to_cpu", self.offload_dit_to_cpu);
        let compile = switch("--compile", self.compile);
        let device = self.device(environment, &mut notes);
        let quantization = self
            .quantization
            .or_else(|| environment.parsed("--quantization", values::quantization, &mut notes));
        let text = |flag: &str, given: &Option<String>| {
            given
                .clone()
                .filter(|value| !value.trim().is_empty())
                .or_else(|| environment.flag(flag).map(str::to_owned))
        };
        let lm_model_path = text("--lm_model_path", &self.lm_model_path);
        let config = ServiceConfig {
            config_path: text("--config_path", &self.config_path),
            device: device.choice,
            // Asking for a language model on the command line is the consent.
            lm_over_tier_confirmed: lm_model_path.is_some() || init_llm == Some(true),
            lm_model_path,
            init_llm,
            use_flash_attention,
            offload_to_cpu,
            offload_dit_to_cpu,
            compile,
            quantization,
        };
        if let Some(backend) = &self.backend {
            notes.push(Note::new(
                "flag_without_effect",
                "backend",
                format!(
                    "--backend {backend}: not used; this program has one engine for every device."
                ),
            ));
        }
        (config, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_beat_the_environment_and_junk_there_is_named() {
        let environment = Environment::of(&[
            ("ACESTEP_CONFIG_PATH", "from-env"),
            ("ACESTEP_INIT_LLM", "maybe"),
            ("ACESTEP_USE_FLASH_ATTENTION", "false"),
            ("ACESTEP_LM_MODEL_PATH", "lm-from-env"),
            ("ACESTEP_OFFLOAD_TO_CPU", "true"),
            ("ACESTEP_COMPILE", "1"),
        ]);
        let args = ServiceArgs {
            config_path: Some("from-flag".into()),
            compile: Some(false),
            ..ServiceArgs::default()
        };
        let (config, notes) = args.config(&environment);
        assert_eq!(config.config_path.as_deref(), Some("from-flag"));
        assert_eq!(config.lm_model_path.as_deref(), Some("lm-from-env"));
        assert_eq!(
            (config.use_flash_attention, config.init_llm),
            (Some(false), None)
        );
        assert_eq!(
            (config.offload_to_cpu, config.compile),
            (Some(true), Some(false))
        );
        assert_eq!(notes.len(), 1);
        assert!(notes[0].message.contains("ACESTEP_INIT_LLM: \"maybe\""));
    }

    #[test]
    fn adapters_lie_beside_the_checkpoints_unless_said_otherwise() {
        let dir = |checkpoints: Option<&str>, lora_path: Option<&str>| {
            let service = ServiceArgs {
                checkpoints: checkpoints.map(PathBuf::from),
                ..ServiceArgs::default()
            };
            let loras = LoraArgs {
                lora_path: lora_path.map(PathBuf::from),
            };
            loras.dir(&service)
        };
        assert_eq!(dir(None, None), PathBuf::from("loras"));
        assert_eq!(
            dir(Some("/srv/checkpoints/"), None),
            PathBuf::from("/srv/loras")
        );
        assert_eq!(dir(Some("x"), Some("mine")), PathBuf::from("mine"));
    }

    #[test]
    fn an_explicit_auto_beats_the_environment() {
        let environment = Environment::of(&[("ACESTEP_USE_FLASH_ATTENTION", "false")]);
        let args = ServiceArgs {
            use_flash_attention: Some(AutoSwitch(None)),
            ..ServiceArgs::default()
        };
        assert_eq!(args.config(&environment).0.use_flash_attention, None);
    }
}
