//! Whether the language model can be asked, and what would make it so.

use acestep_domain::service::{LoadedLm, ServiceConfig, ServiceState, ServiceStatus};
use leptos::prelude::*;

use super::StudioStore;

/// What stands between the page and a language model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lm {
    /// It is loaded.
    Ready,
    /// Something is being loaded, perhaps it.
    Loading,
    /// Nothing is loaded yet.
    NotStarted,
    /// None is loaded, and the page may not change that.
    Fixed,
    /// None is loaded; the one inside the binary can be started at once.
    Small,
    /// None is loaded; the panel offers what there is.
    Off,
}

/// See [`Lm`].
fn lm_of(status: &ServiceStatus) -> Lm {
    if status.lm.is_some() && status.model.is_some() {
        Lm::Ready
    } else if status.state == ServiceState::Loading {
        Lm::Loading
    } else if status.service_mode {
        Lm::Fixed
    } else if status.model.is_none() {
        Lm::NotStarted
    } else if status.lms.iter().any(|lm| lm.built_in) {
        Lm::Small
    } else {
        Lm::Off
    }
}

/// The running configuration with the language model inside the binary; `None` when there is none.
pub fn with_small_lm(status: &ServiceStatus) -> Option<ServiceConfig> {
    let small = status.lms.iter().find(|lm| lm.built_in)?;
    let mut config = status.requested.clone();
    // After a failure the request names what did not load; what runs is to go on.
    if status.state == ServiceState::Failed
        && let Some(model) = &status.model
    {
        config.config_path = Some(model.name.clone());
    }
    Some(ServiceConfig {
        init_llm: Some(true),
        lm_model_path: Some(small.name.clone()),
        lm_over_tier_confirmed: false,
        ..config
    })
}

impl StudioStore {
    /// Whether the language model can be asked.
    pub fn lm(self) -> Lm {
        self.status.with(lm_of)
    }

    /// The loaded language model.
    pub fn loaded_lm(self) -> Option<LoadedLm> {
        self.status.with(|status| status.lm.clone())
    }

    /// It can be asked.
    pub fn has_lm(self) -> bool {
        self.status.with(|status| lm_of(status) == Lm::Ready)
    }

    /// It is known where the loaded main model looks for the words.
    pub fn times_lyrics(self) -> bool {
        self.status.with(|status| {
            status
                .model
                .as_ref()
                .is_some_and(|model| model.times_lyrics)
        })
    }

    /// The loaded main model can follow audio codes and hear them in a song.
    pub fn takes_codes(self) -> bool {
        self.status
            .with(|status| status.model.as_ref().is_some_and(|model| model.audio_codes))
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::capabilities::LmEntry;

    use super::*;

    fn status() -> ServiceStatus {
        let small: LmEntry = serde_json::from_value(serde_json::json!({
            "name": "acestep-5Hz-lm-demo", "size": "0.6B", "size_bytes": 1, "installed": true,
            "built_in": true, "within_tier": true
        }))
        .unwrap();
        ServiceStatus {
            lms: vec![small],
            requested: ServiceConfig {
                compile: Some(false),
                lm_over_tier_confirmed: true,
                ..ServiceConfig::default()
            },
            ..ServiceStatus::default()
        }
    }

    #[test]
    fn starting_the_small_one_changes_nothing_else() {
        let config = with_small_lm(&status()).unwrap();
        assert_eq!(
            config,
            ServiceConfig {
                compile: Some(false),
                init_llm: Some(true),
                lm_model_path: Some("acestep-5Hz-lm-demo".into()),
                ..ServiceConfig::default()
            }
        );
    }

    #[test]
    fn the_reason_names_what_is_missing() {
        let fresh = status();
        assert_eq!(lm_of(&fresh), Lm::NotStarted);
        let loading = ServiceStatus {
            state: ServiceState::Loading,
            ..status()
        };
        assert_eq!(lm_of(&loading), Lm::Loading);
        let fixed = ServiceStatus {
            service_mode: true,
            ..status()
        };
        assert_eq!(lm_of(&fixed), Lm::Fixed);
    }
}
