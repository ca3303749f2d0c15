//! Every environment variable, read here and nowhere else.
//!
//! Precedence: flag, then process environment, then `.env` in the current folder, then the built-in
//! default. `.env.example` is never read.

use std::{collections::HashMap, path::Path, time::Duration};

use acestep_domain::{note::Note, tier::parse_vram_gb};
use acestep_studio::download::Endpoints;

/// Variables that stand for a flag: (variable, flag).
const FLAGS: &[(&str, &str)] = &[
    ("ACESTEP_CONFIG_PATH", "--config_path"),
    ("ACESTEP_LM_MODEL_PATH", "--lm_model_path"),
    ("ACESTEP_INIT_LLM", "--init_llm"),
    ("ACESTEP_DEVICE", "--device"),
    ("ACESTEP_USE_FLASH_ATTENTION", "--use_flash_attention"),
    ("ACESTEP_OFFLOAD_TO_CPU", "--offload_to_cpu"),
    ("ACESTEP_OFFLOAD_DIT_TO_CPU", "--offload_dit_to_cpu"),
    ("ACESTEP_QUANTIZATION", "--quantization"),
    ("ACESTEP_COMPILE", "--compile"),
    ("ACESTEP_DOWNLOAD_SOURCE", "--download-source"),
    ("ACESTEP_API_KEY", "--api-key"),
    ("ACESTEP_API_HOST", "--server-name"),
    ("ACESTEP_API_PORT", "--port"),
    ("ACESTEP_QUEUE_MAXSIZE", "the queue's length"),
    ("ACESTEP_GENERATION_TIMEOUT", "the wait of a chat"),
    ("SERVICE_MODE_DIT_MODEL", "the model of --service_mode"),
    (
        "SERVICE_MODE_LM_MODEL",
        "the language model of --service_mode",
    ),
];

/// Variables of the original without a counterpart here; a set one is named rather than passed over.
const WITHOUT_EFFECT: &[&str] = &[
    "ACESTEP_CONFIG_PATH2",
    "ACESTEP_CONFIG_PATH3",
    "ACESTEP_LM_DEVICE",
    "ACESTEP_LM_BACKEND",
    "ACESTEP_LM_OFFLOAD_TO_CPU",
    "ACESTEP_QUEUE_WORKERS",
    "ACESTEP_API_WORKERS",
    "ACESTEP_VAE_ON_CPU",
    "ACESTEP_VAE_DECODE_CHUNK_SIZE",
    "ACESTEP_MPS_DECODE_OFFLOAD",
];

/// A snapshot of what the program may read.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    values: HashMap<String, String>,
    notes: Vec<Note>,
}

impl Environment {
    /// The process environment over `.env`.
    pub fn load() -> Self {
        let mut environment = Self::from_file(Path::new(".env"));
        environment
            .values
            .extend(std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }));
        environment
    }

    fn from_file(path: &Path) -> Self {
        let mut environment = Self::default();
        match dotenvy::from_path_iter(path) {
            Ok(lines) => {
                for line in lines {
                    match line {
                        Ok((name, value)) => {
                            environment.values.insert(name, value);
                        }
                        // The error quotes the line, which may hold a key: only its place is told.
                        Err(_) => environment.notes.push(Note::general(
                            "env_file_line_ignored",
                            ".env: a line is not NAME=value and is not used.",
                        )),
                    }
                }
            }
            Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => environment.notes.push(Note::general(
                "env_file_ignored",
                format!(".env cannot be read and is not used: {error}."),
            )),
        }
        environment
    }

    /// An environment of these values only.
    pub fn of(values: &[(&str, &str)]) -> Self {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            values,
            notes: Vec::new(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// What is to be said about the environment as a whole.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        notes.extend(
            WITHOUT_EFFECT
                .iter()
                .filter(|name| self.get(name).is_some_and(|value| !value.trim().is_empty()))
                .map(|name| {
                    Note::new(
                        "env_without_effect",
                        name,
                        format!("{name}: set, but without effect in this program."),
                    )
                }),
        );
        notes
    }

    /// The simulated card size in GiB, and a note for each value that is not one.
    /// `MAX_CUDA_VRAM` comes before `MAX_MPS_VRAM`.
    pub fn simulated_vram(&self) -> (Option<f64>, Vec<Note>) {
        let mut notes = Vec::new();
        let mut size = None;
        for name in ["MAX_CUDA_VRAM", "MAX_MPS_VRAM"] {
            let Some(text) = self.get(name) else { continue };
            match parse_vram_gb(text) {
                Ok(gib) if size.is_none() => size = Some(gib),
                Ok(_) => {}
                Err(reason) => notes.push(Note::new(
                    "vram_ignored",
                    name,
                    format!(
                        "{name}: {reason}; the value is not used. Give gigabytes like 8, 8.5 or 8GB."
                    ),
                )),
            }
        }
        (size, notes)
    }

    /// The value that stands for `flag`, unless it is empty or `auto`.
    pub fn flag(&self, flag: &str) -> Option<&str> {
        let (variable, _) = FLAGS.iter().find(|(_, name)| *name == flag)?;
        self.get(variable)
            .map(str::trim)
            .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("auto"))
    }

    /// The value that stands for `flag`, read by `parse`; junk becomes a note and counts as unset.
    pub fn parsed<T>(
        &self,
        flag: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        notes: &mut Vec<Note>,
    ) -> Option<T> {
        let text = self.flag(flag)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let name = FLAGS
                    .iter()
                    .find(|(_, name)| *name == flag)
                    .map_or(flag, |(variable, _)| variable);
                notes.push(Note::new(
                    "env_ignored",
                    name,
                    format!("{name}: {text:?} is not used; {reason}."),
                ));
                None
            }
        }
    }

    /// Where the hubs are: `HF_ENDPOINT` and `MODELSCOPE_DOMAIN` name mirrors, as in the hubs' own programs.
    pub fn hub_endpoints(&self) -> Endpoints {
        let at = |name: &str| {
            let text = self.get(name)?.trim().trim_end_matches('/');
            match text {
                "" => None,
                text if text.contains("://") => Some(text.to_owned()),
                host => Some(format!("https://{host}")),
            }
        };
        let released = Endpoints::default();
        Endpoints {
            huggingface: at("HF_ENDPOINT").unwrap_or(released.huggingface),
            modelscope: at("MODELSCOPE_DOMAIN").unwrap_or(released.modelscope),
        }
    }

    /// Jobs that may wait (`ACESTEP_QUEUE_MAXSIZE`).
    pub fn queue_limit(&self, notes: &mut Vec<Note>) -> Option<usize> {
        let parse = |text: &str| match text.parse::<usize>() {
            Ok(limit) if (1..=100_000).contains(&limit) => Ok(limit),
            _ => Err("allowed: 1 to 100000".to_owned()),
        };
        self.parsed("the queue's length", parse, notes)
    }

    /// How long an answer of the chat waits for its song (`ACESTEP_GENERATION_TIMEOUT`, in seconds).
    pub fn generation_timeout(&self, notes: &mut Vec<Note>) -> Option<Duration> {
        let parse = |text: &str| match text.parse::<u64>() {
            Ok(secs) if (1..=86_400).contains(&secs) => Ok(Duration::from_secs(secs)),
            _ => Err("allowed: 1 to 86400".to_owned()),
        };
        self.parsed("the wait of a chat", parse, notes)
    }

    /// Model and language model of `--service_mode`.
    pub fn service_mode_models(&self) -> (Option<&str>, Option<&str>) {
        (
            self.flag("the model of --service_mode"),
            self.flag("the language model of --service_mode"),
        )
    }

    /// Whether a browser could be shown here.
    pub fn has_display(&self) -> bool {
        cfg!(any(target_os = "windows", target_os = "macos"))
            || ["DISPLAY", "WAYLAND_DISPLAY"]
                .iter()
                .any(|name| self.get(name).is_some_and(|value| !value.is_empty()))
    }

    /// The log filter.
    pub fn log_filter(&self) -> Option<&str> {
        self.get("RUST_LOG")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_of_the_hubs_are_named_as_their_own_programs_name_them() {
        let released = Environment::of(&[("HF_ENDPOINT", " ")]).hub_endpoints();
        assert_eq!(released, Endpoints::default());
        let mirrors = Environment::of(&[
            ("HF_ENDPOINT", "https://hf-mirror.com/"),
            ("MODELSCOPE_DOMAIN", "modelscope.ai"),
        ]);
        let mirrors = mirrors.hub_endpoints();
        assert_eq!(mirrors.huggingface, "https://hf-mirror.com");
        assert_eq!(mirrors.modelscope, "https://modelscope.ai");
    }

    #[test]
    fn a_simulated_card_and_its_bad_spellings() {
        let size = |values| Environment::of(values).simulated_vram().0;
        assert_eq!(size(&[("MAX_CUDA_VRAM", "8GB")]), Some(8.0));
        assert_eq!(size(&[("MAX_MPS_VRAM", "16")]), Some(16.0));
        assert_eq!(
            size(&[("MAX_CUDA_VRAM", "6"), ("MAX_MPS_VRAM", "16")]),
            Some(6.0)
        );
        assert_eq!(
            size(&[("MAX_CUDA_VRAM", "six"), ("MAX_MPS_VRAM", "16")]),
            Some(16.0)
        );
        for junk in ["", "eight", "-8"] {
            let (size, notes) = Environment::of(&[("MAX_CUDA_VRAM", junk)]).simulated_vram();
            assert_eq!(size, None);
            assert!(notes[0].message.contains("MAX_CUDA_VRAM"), "{notes:?}");
            assert!(notes[0].message.contains(junk), "{notes:?}");
        }
    }

    #[test]
    fn auto_and_empty_leave_the_choice_open() {
        let environment = Environment::of(&[
            ("ACESTEP_INIT_LLM", "auto"),
            ("ACESTEP_DEVICE", ""),
            ("ACESTEP_CONFIG_PATH", "x"),
        ]);
        assert_eq!(environment.flag("--init_llm"), None);
        assert_eq!(environment.flag("--device"), None);
        assert_eq!(environment.flag("--config_path"), Some("x"));
    }

    #[test]
    fn a_file_fills_in_and_a_broken_line_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(
            &path,
            "# note\nexport ACESTEP_CONFIG_PATH='my model'\nsecret words\nMAX_CUDA_VRAM=8 # card\n",
        )
        .unwrap();
        let environment = Environment::from_file(&path);
        assert_eq!(environment.flag("--config_path"), Some("my model"));
        assert_eq!(environment.simulated_vram().0, Some(8.0));
        let notes = environment.notes();
        assert_eq!(notes.len(), 1);
        assert!(!notes[0].message.contains("secret"));
    }

    #[test]
    fn variables_without_effect_are_named_when_set() {
        let environment =
            Environment::of(&[("ACESTEP_VAE_ON_CPU", "1"), ("ACESTEP_LM_DEVICE", " ")]);
        let notes = environment.notes();
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].field.as_deref(), Some("ACESTEP_VAE_ON_CPU"));
    }

    #[test]
    fn a_queue_length_that_is_none_is_named() {
        let mut notes = Vec::new();
        let limit = |text: &str, notes: &mut Vec<Note>| {
            Environment::of(&[("ACESTEP_QUEUE_MAXSIZE", text)]).queue_limit(notes)
        };
        assert_eq!(limit("3", &mut notes), Some(3));
        assert_eq!(notes, []);
        assert_eq!(limit("0", &mut notes), None);
        assert!(notes[0].message.contains("ACESTEP_QUEUE_MAXSIZE"));
        let wait = Environment::of(&[("ACESTEP_GENERATION_TIMEOUT", "90")]);
        assert_eq!(
            wait.generation_timeout(&mut notes),
            Some(Duration::from_secs(90))
        );
    }
}
