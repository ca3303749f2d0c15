//! What a run would use on this machine, told before any weight is read.

use serde::{Deserialize, Serialize};

use crate::{
    capabilities::Capabilities,
    defaults::defaults,
    error::UserError,
    generation::{
        GenerationParams,
        clamp::{Bounds, clamp},
    },
    note::Note,
    service::{Installed, Resolved, ServiceConfig, SwitchDefaults, resolve, switch_defaults},
    task::Family,
    tier::{GpuTier, LmSize, limits},
};

/// A figure with and without a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByLm<T> {
    /// While one is loaded.
    pub with_lm: T,
    /// While none is.
    pub without_lm: T,
}

/// The request as it would run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolvedRequest {
    /// Length in seconds.
    pub duration_secs: f64,
    /// Songs of the run.
    pub batch_size: usize,
    /// Counted with the language model's limits.
    pub with_lm: bool,
    /// The parameters after clamping.
    pub params: GenerationParams,
    /// The service's settings.
    pub service: Resolved,
}

/// The answer of `acestep plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The tier.
    pub tier: GpuTier,
    /// VRAM in GB, 0 without a card.
    pub vram_gb: f64,
    /// Set by an environment variable rather than read.
    pub simulated: bool,
    /// Longest song.
    pub max_duration_secs: ByLm<u32>,
    /// Largest batch.
    pub max_batch_size: ByLm<usize>,
    /// Language models the tier may load, by folder name.
    pub lm_models: Vec<String>,
    /// Whether a language model loads when nobody says.
    pub lm_default: bool,
    /// Defaults of the switches.
    pub defaults: SwitchDefaults,
    /// The request as it would run.
    pub resolved: ResolvedRequest,
    /// Clamps, fallbacks, ignored fields.
    pub notes: Vec<Note>,
}

/// What is planned.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The parameters; `None` = a fresh form's.
    pub params: Option<&'a serde_json::Value>,
    /// The service's settings.
    pub service: &'a ServiceConfig,
    /// Lift the limits of a machine without a card.
    pub unlimited: bool,
}

/// Plans `request` for `machine`.
///
/// # Errors
/// When a parameter is not understood or contradicts another.
pub fn plan(
    request: Request<'_>,
    machine: &Capabilities,
    installed: Installed<'_>,
) -> Result<Plan, UserError> {
    let tier = machine.tier;
    let row = tier.row();
    let (service, mut notes) = resolve(request.service, machine, installed);
    let family = installed
        .models
        .iter()
        .find(|model| model.name == service.config_path)
        .map_or_else(
            || Family::from_name(&service.config_path),
            |model| model.family,
        );
    let base = defaults(family, tier);
    let params = match request.params {
        None => base,
        Some(value) => {
            let (params, read_notes) =
                crate::generation::read::params_from_json(value, base)?.strict()?;
            notes.extend(read_notes);
            params
        }
    };
    let bounds = Bounds {
        tier,
        lm_loaded: service.init_llm,
        family,
        unlimited: request.unlimited && machine.vram.total_gib == 0.0,
    };
    let clamped = clamp(params, bounds)?;
    notes.extend(clamped.notes);
    if clamped.params.works_on_source() {
        notes.push(Note::new(
            "duration_by_source",
            "duration",
            "Length: the source decides it; the file is not read for a plan.",
        ));
    }
    Ok(Plan {
        tier,
        vram_gb: machine.vram.total_gib,
        simulated: machine.vram.simulated,
        max_duration_secs: ByLm {
            with_lm: limits(tier, true).max_duration_secs,
            without_lm: limits(tier, false).max_duration_secs,
        },
        max_batch_size: ByLm {
            with_lm: limits(tier, true).max_batch_size,
            without_lm: limits(tier, false).max_batch_size,
        },
        lm_models: row
            .lm_sizes
            .iter()
            .map(|size: &LmSize| size.folder())
            .collect(),
        lm_default: row.lm_default,
        defaults: switch_defaults(machine.vram),
        resolved: ResolvedRequest {
            duration_secs: clamped
                .params
                .duration_secs
                .unwrap_or(crate::defaults::AUTO_DURATION_SECS),
            batch_size: clamped.params.batch_size,
            with_lm: service.init_llm,
            params: clamped.params,
            service,
        },
        notes,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        capabilities::{Availability, LmEntry},
        tier::Vram,
    };

    fn plan_for(vram: f64, params: &serde_json::Value, lm: Option<&str>) -> Plan {
        let machine = Capabilities {
            vram: Vram {
                total_gib: vram,
                simulated: true,
            },
            tier: GpuTier::from_vram_gib(vram),
            quantization: Availability {
                available: true,
                ..Availability::default()
            },
            ..Capabilities::default()
        };
        let service = ServiceConfig {
            lm_model_path: lm.map(str::to_owned),
            ..ServiceConfig::default()
        };
        let request = Request {
            params: Some(params),
            service: &service,
            unlimited: false,
        };
        let lms: Vec<_> = lm
            .map(|name| LmEntry::installed(name.to_owned(), 1, false, &machine))
            .into_iter()
            .collect();
        let installed = Installed {
            models: &[],
            lms: &lms,
        };
        plan(request, &machine, installed).unwrap()
    }

    #[test]
    fn an_eight_gb_card_with_an_lm_and_six_minutes_ends_at_four() {
        let asked = json!({ "caption": "x", "duration": 360, "batch_size": 4 });
        let with = plan_for(8.0, &asked, Some("acestep-5Hz-lm-0.6B"));
        assert_eq!(
            (
                with.tier,
                with.resolved.duration_secs,
                with.resolved.batch_size
            ),
            (GpuTier::Tier4, 240.0, 2)
        );
        let codes: Vec<_> = with.notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(codes, ["duration_clamped", "batch_size_clamped"]);
        let without = plan_for(8.0, &asked, None);
        assert_eq!(
            (without.resolved.duration_secs, without.resolved.batch_size),
            (360.0, 4)
        );
        assert_eq!(without.notes, []);
    }

    #[test]
    fn a_bad_value_is_refused_with_its_field() {
        let machine = Capabilities::default();
        let value = json!({ "duration": "inf" });
        let request = Request {
            params: Some(&value),
            service: &ServiceConfig::default(),
            unlimited: false,
        };
        let error = plan(
            request,
            &machine,
            Installed {
                models: &[],
                lms: &[],
            },
        )
        .unwrap_err();
        assert_eq!(error.field.as_deref(), Some("duration"));
    }
}
