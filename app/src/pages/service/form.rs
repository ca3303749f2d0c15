//! What is chosen in the panel before it is sent, and what it would resolve to on this machine.

use std::collections::BTreeMap;

use acestep_domain::{
    Note,
    service::{
        DEMO_MODEL, DeviceChoice, Installed, Quantization, Resolved, ServiceConfig, ServiceStatus,
        resolve,
    },
};
use leptos::prelude::*;

/// Name of the field with a folder typed by hand.
pub const OTHER_PATH: &str = "other_config_path";
/// Name of the field with a language model above the tier that was confirmed.
pub const OVER_TIER: &str = "lm_over_tier";
/// Name of the button that starts the built-in model instead.
pub const USE_DEMO: &str = "use_demo";

/// The choices of the panel. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// As chosen; `None` = the machine decides.
    pub config: RwSignal<ServiceConfig>,
    /// The folder typed by hand; it goes before the list.
    pub other_path: RwSignal<String>,
    /// What the domain makes of it here, with its notes.
    pub settled: Memo<(Resolved, Vec<Note>)>,
}

impl Draft {
    /// Starts from what was asked last.
    pub fn new(status: RwSignal<ServiceStatus>) -> Self {
        let (asked, typed) = status.with_untracked(|status| {
            let mut asked = status.requested.clone();
            let typed = asked
                .config_path
                .take_if(|name| !status.models.iter().any(|model| model.name == *name));
            (asked, typed.unwrap_or_default())
        });
        let config = RwSignal::new(asked);
        let other_path = RwSignal::new(typed);
        let settled = Memo::new(move |_| {
            let asked = with_other_path(config.get(), &other_path.get());
            status.with(|status| {
                let installed = Installed {
                    models: &status.models,
                    lms: &status.lms,
                };
                resolve(&asked, &status.capabilities, installed)
            })
        });
        Self {
            config,
            other_path,
            settled,
        }
    }

    /// What is sent.
    pub fn request(self) -> ServiceConfig {
        with_other_path(
            self.config.get_untracked(),
            &self.other_path.get_untracked(),
        )
    }

    /// A value of what it resolves to.
    pub fn resolved<T: PartialEq + Send + Sync + 'static>(
        self,
        read: fn(&Resolved) -> T,
    ) -> Memo<T> {
        Memo::new(move |_| self.settled.with(|(resolved, _)| read(resolved)))
    }

    /// The language model's switch as shown: what was asked, whether or not one is there.
    pub fn wants_lm(self) -> Memo<bool> {
        Memo::new(move |_| {
            self.config
                .with(|config| config.init_llm)
                .unwrap_or_else(|| self.settled.with(|(resolved, _)| resolved.init_llm))
        })
    }

    /// Notes about `field`.
    pub fn notes(self, field: &'static str) -> Memo<Vec<Note>> {
        Memo::new(move |_| {
            self.settled.with(|(_, notes)| {
                notes
                    .iter()
                    .filter(|note| note.field.as_deref() == Some(field))
                    .cloned()
                    .collect()
            })
        })
    }
}

fn with_other_path(mut config: ServiceConfig, other: &str) -> ServiceConfig {
    let other = other.trim();
    if !other.is_empty() {
        config.config_path = Some(other.to_owned());
    }
    // A folder name of a model that stays off would only be noted as unused.
    if config.init_llm == Some(false) {
        config.lm_model_path = None;
    }
    config
}

/// The configuration in a form as a browser without scripts posts it: a switch that is off is not sent.
pub fn config_from_fields(fields: &BTreeMap<String, String>) -> ServiceConfig {
    let text = |key: &str| {
        fields
            .get(key)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let on = |key: &str| fields.contains_key(key);
    let over_tier = text(OVER_TIER);
    let config = ServiceConfig {
        config_path: if on(USE_DEMO) {
            Some(DEMO_MODEL.to_owned())
        } else {
            text("config_path")
        },
        device: match text("device").as_deref() {
            Some("cuda") => DeviceChoice::Cuda,
            Some("mps") => DeviceChoice::Mps,
            Some("cpu") => DeviceChoice::Cpu,
            _ => DeviceChoice::Auto,
        },
        init_llm: Some(over_tier.is_some() || on("init_llm")),
        lm_over_tier_confirmed: over_tier.is_some(),
        lm_model_path: over_tier.or_else(|| text("lm_model_path")),
        use_flash_attention: Some(on("use_flash_attention")),
        offload_to_cpu: Some(on("offload_to_cpu")),
        offload_dit_to_cpu: Some(on("offload_dit_to_cpu")),
        compile: Some(on("compile")),
        quantization: text("quantization").and_then(|name| Quantization::from_name(&name)),
    };
    let other = if on(USE_DEMO) { None } else { text(OTHER_PATH) };
    with_other_path(config, other.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(fields: &[(&str, &str)]) -> ServiceConfig {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        config_from_fields(&fields)
    }

    #[test]
    fn a_switch_that_is_not_sent_is_off() {
        let config = posted(&[("config_path", "acestep-v15-turbo"), ("compile", "true")]);
        assert_eq!(config.config_path.as_deref(), Some("acestep-v15-turbo"));
        assert_eq!(
            (config.use_flash_attention, config.compile, config.init_llm),
            (Some(false), Some(true), Some(false))
        );
    }

    #[test]
    fn a_typed_folder_goes_before_the_list() {
        let config = posted(&[("config_path", "listed"), (OTHER_PATH, " typed ")]);
        assert_eq!(config.config_path.as_deref(), Some("typed"));
        let config = posted(&[("config_path", "listed"), (OTHER_PATH, " ")]);
        assert_eq!(config.config_path.as_deref(), Some("listed"));
    }

    #[test]
    fn use_anyway_switches_the_language_model_on_and_confirms_it() {
        let config = posted(&[
            ("lm_model_path", "acestep-5Hz-lm-0.6B"),
            (OVER_TIER, "acestep-5Hz-lm-4B"),
        ]);
        assert_eq!(config.lm_model_path.as_deref(), Some("acestep-5Hz-lm-4B"));
        assert_eq!(
            (config.init_llm, config.lm_over_tier_confirmed),
            (Some(true), true)
        );
    }

    #[test]
    fn a_model_that_stays_off_is_not_named() {
        let config = posted(&[("lm_model_path", "acestep-5Hz-lm-0.6B")]);
        assert_eq!((config.init_llm, config.lm_model_path), (Some(false), None));
    }

    #[test]
    fn the_demo_button_overrides_list_and_typed_folder() {
        let config = posted(&[
            ("config_path", "broken"),
            (OTHER_PATH, "also-broken"),
            (USE_DEMO, "true"),
        ]);
        assert_eq!(config.config_path.as_deref(), Some(DEMO_MODEL));
    }
}
