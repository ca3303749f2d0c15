//! `acestep serve`: the studio with page and API.

use std::{path::PathBuf, process::ExitCode};

use acestep_domain::{capabilities::DeviceKind, note::Note};
use acestep_engine::memory::probe;
use acestep_studio::StudioOptions;
use clap::Args;

use super::{
    machine::machine,
    output::{fail, tell_notes},
    service::{DownloadSourceArgs, LoraArgs, ServiceArgs},
    values,
};
use crate::{
    auth::Credentials,
    env::Environment,
    launch::{self, Launch},
    state::{GenerationTimeout, Language},
    telemetry::Level,
};

/// Jobs that may wait, as in the original.
const QUEUE_LIMIT: usize = 200;

/// Everything the studio can be started with.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    loras: LoraArgs,
    #[command(flatten)]
    downloads: DownloadSourceArgs,
    #[command(flatten)]
    old: OldArgs,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Address and page")]
struct AddressArgs {
    /// Port; 0 takes any free one [default: 7860]
    #[arg(long, value_name = "PORT", value_parser = values::port)]
    port: Option<u16>,
    /// Address to serve on; 0.0.0.0 lets other machines in and needs a key or a login [default: 127.0.0.1]
    #[arg(long = "server-name", alias = "server_name", value_name = "HOST")]
    server_name: Option<String>,
    /// Language of the page until its visitor chooses: en, zh, he, ja [default: the browser's]
    #[arg(long, value_name = "CODE", value_parser = ["en", "zh", "he", "ja"], hide_possible_values = true)]
    language: Option<String>,
    /// Do not open the browser
    #[arg(long = "no-browser", alias = "no_browser")]
    no_browser: bool,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// Key that the API asks for
    #[arg(long = "api-key", alias = "api_key", value_name = "KEY")]
    api_key: Option<String>,
    /// User name that the page asks for; needs --auth-password
    #[arg(long = "auth-username", alias = "auth_username", value_name = "NAME")]
    auth_username: Option<String>,
    /// Its password
    #[arg(
        long = "auth-password",
        alias = "auth_password",
        value_name = "PASSWORD"
    )]
    auth_password: Option<String>,
    /// Another host name this studio answers to, for example behind a proxy (repeatable)
    #[arg(long = "allowed-host", alias = "allowed_host", value_name = "NAME")]
    allowed_host: Vec<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Start and files")]
struct StartArgs {
    /// Load the model before the page opens: true or false [default: false]
    #[arg(long = "init_service", alias = "init-service", value_name = "BOOL", value_parser = values::switch)]
    init_service: Option<bool>,
    /// Load the model before the page opens, for the API's sake
    #[arg(long = "enable-api", alias = "enable_api")]
    enable_api: bool,
    /// Serve others: load the models of SERVICE_MODE_DIT_MODEL and SERVICE_MODE_LM_MODEL, and let nobody change them
    /// from the page: true or false [default: false]
    #[arg(long = "service_mode", alias = "service-mode", value_name = "BOOL", value_parser = values::switch)]
    service_mode: Option<bool>,
    /// Folder for songs and the library
    #[arg(
        long = "output-dir",
        alias = "output_dir",
        value_name = "DIR",
        default_value = "acestep_outputs"
    )]
    output_dir: PathBuf,
    /// Log more
    #[arg(long)]
    debug: bool,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Accepted for old launchers")]
struct OldArgs {
    /// A public link: there is no tunnel here
    #[arg(long)]
    share: bool,
    /// Preselects a checkpoint: --config_path does
    #[arg(long, value_name = "NAME")]
    checkpoint: Option<String>,
    /// Another folder to serve: songs come from the library alone
    #[arg(long = "allowed-path", alias = "allowed_path", value_name = "DIR")]
    allowed_path: Vec<String>,
}

impl OldArgs {
    /// A note for every flag that is accepted and changes nothing.
    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut say = |field: &str, message: String| {
            notes.push(Note::new("flag_without_effect", field, message));
        };
        if self.share {
            say(
                "share",
                "--share: not used; this program opens no tunnel. Use --server-name 0.0.0.0 with a key or login for your own network."
                    .to_owned(),
            );
        }
        if let Some(name) = &self.checkpoint {
            say(
                "checkpoint",
                format!("--checkpoint {name}: not used; --config_path chooses the model."),
            );
        }
        if !self.allowed_path.is_empty() {
            say(
                "allowed_path",
                "--allowed-path: not used; songs are served from the library alone.".to_owned(),
            );
        }
        notes
    }
}

impl ServeArgs {
    pub(crate) fn log_level(&self) -> Level {
        if self.start.debug {
            Level::Debug
        } else {
            Level::Normal
        }
    }

    /// An explicit flag wins; else the two flags that need a model load one.
    fn init_service(&self) -> bool {
        self.start
            .init_service
            .unwrap_or(self.start.enable_api || self.start.service_mode == Some(true))
    }

    /// All flags and variables as one launch.
    fn launch(&self, environment: &Environment) -> Launch {
        let (mut capabilities, mut notes) = machine(environment, &self.service);
        if capabilities.device == DeviceKind::Cpu {
            capabilities.memory_gb_per_sec = probe::memory_gb_per_sec();
        }
        let (mut requested, more) = self.service.config(environment);
        notes.extend(more);
        notes.extend(self.old.notes());
        if self.start.service_mode == Some(true) {
            let (model, lm) = environment.service_mode_models();
            let or = |asked: Option<String>, preset: Option<&str>| {
                asked.or_else(|| preset.map(str::to_owned))
            };
            requested.config_path = or(requested.config_path, model);
            requested.lm_model_path = or(requested.lm_model_path, lm);
        }
        let port = self
            .address
            .port
            .or_else(|| environment.parsed("--port", values::port, &mut notes));
        let server_name = self
            .address
            .server_name
            .clone()
            .or_else(|| environment.flag("--server-name").map(str::to_owned));
        let api_key = self
            .access
            .api_key
            .clone()
            .or_else(|| environment.flag("--api-key").map(str::to_owned));
        let queue_limit = environment.queue_limit(&mut notes);
        let generation_timeout = environment.generation_timeout(&mut notes);
        let downloads = self.downloads.options(environment, &mut notes);
        let init_service = self.init_service();
        Launch {
            server_name: server_name.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port.unwrap_or(7860),
            open_browser: !self.address.no_browser && environment.has_display(),
            init_service,
            generation_timeout: generation_timeout.map_or_else(Default::default, GenerationTimeout),
            language: self.address.language.as_deref().and_then(Language::of),
            credentials: Credentials {
                api_key,
                username: self.access.auth_username.clone(),
                password: self.access.auth_password.clone(),
            },
            allowed_hosts: self.access.allowed_host.clone(),
            studio: StudioOptions {
                output_dir: self.start.output_dir.clone(),
                checkpoints_dir: self.service.root(),
                lora_dir: self.loras.dir(&self.service),
                capabilities,
                notes,
                requested,
                unlimited: self.service.unlimited,
                queue_limit: queue_limit.unwrap_or(QUEUE_LIMIT),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pre_initialized: init_service,
                service_mode: self.start.service_mode == Some(true),
                downloads,
            },
        }
    }
}

/// Serves until the user stops it.
pub(crate) fn run(args: &ServeArgs, environment: &Environment) -> ExitCode {
    let launch = args.launch(environment);
    tell_notes(&launch.studio.notes);
    match launch::serve(launch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure, false),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn launch(flags: &[&str], environment: &[(&str, &str)]) -> Launch {
        let words = ["acestep"].iter().chain(flags);
        Program::try_parse_from(words)
            .unwrap()
            .serve
            .launch(&Environment::of(environment))
    }

    #[test]
    fn what_loads_before_the_page_opens() {
        for (flags, loads) in [
            (&[][..], false),
            (&["--init_service", "true"], true),
            (&["--init-service", "off"], false),
            (&["--enable-api"], true),
            (&["--enable_api", "--init_service", "false"], false),
            (&["--service_mode", "yes"], true),
            (&["--service-mode", "false"], false),
        ] {
            let launch = launch(flags, &[]);
            assert_eq!(launch.init_service, loads, "{flags:?}");
            assert_eq!(launch.studio.pre_initialized, loads, "{flags:?}");
        }
    }

    #[test]
    fn flags_beat_variables_and_variables_beat_defaults() {
        let variables = [
            ("ACESTEP_API_PORT", "8001"),
            ("ACESTEP_API_HOST", "::1"),
            ("ACESTEP_API_KEY", "sk"),
            ("ACESTEP_QUEUE_MAXSIZE", "7"),
        ];
        let from_environment = launch(&[], &variables);
        assert_eq!(from_environment.port, 8001);
        assert_eq!(from_environment.server_name, "::1");
        assert_eq!(from_environment.credentials.api_key.as_deref(), Some("sk"));
        assert_eq!(from_environment.studio.queue_limit, 7);
        let from_flags = launch(&["--port", "1", "--server_name", "localhost"], &variables);
        assert_eq!(from_flags.port, 1);
        assert_eq!(from_flags.server_name, "localhost");
        let plain = launch(&[], &[]);
        assert_eq!((plain.port, plain.studio.queue_limit), (7860, 200));
    }

    #[test]
    fn flags_without_effect_are_told() {
        let launch = launch(
            &[
                "--share",
                "--checkpoint",
                "x",
                "--allowed-path",
                "/a",
                "--allowed_path",
                "/b",
                "--backend",
                "vllm",
            ],
            &[("MAX_CUDA_VRAM", "lots")],
        );
        let fields: Vec<&str> = launch
            .studio
            .notes
            .iter()
            .filter_map(|note| note.field.as_deref())
            .collect();
        for field in [
            "share",
            "checkpoint",
            "allowed_path",
            "backend",
            "MAX_CUDA_VRAM",
        ] {
            assert!(fields.contains(&field), "{field} in {fields:?}");
        }
    }

    #[test]
    fn the_presets_of_service_mode_lose_to_flags() {
        let presets = [("SERVICE_MODE_DIT_MODEL", "preset")];
        let config = |flags: &[&str]| launch(flags, &presets).studio.requested.config_path;
        assert_eq!(
            config(&["--service_mode", "true"]).as_deref(),
            Some("preset")
        );
        assert_eq!(
            config(&["--service_mode", "true", "--config_path", "mine"]).as_deref(),
            Some("mine")
        );
        assert_eq!(config(&[]), None);
    }
}
