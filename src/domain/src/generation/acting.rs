//! Which parameters have a say in a run that is about to start. Whether a task has use for a parameter
//! at all is for [`inputs`](super::inputs) to tell; here is what hangs on other parameters and on what
//! is loaded. A parameter nobody wrote a rule for acts, so a new one is never passed over in silence.

use super::GenerationParams;
use crate::job::JobKind;

/// What is known of the run beside its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// What is made. A sample stands for the songs that are made of it as well.
    pub kind: JobKind,
    /// The loaded language model can write audio codes, and the loaded main model can follow them.
    pub codes: bool,
}

/// Whether another value of `key` could make another song of `params`.
pub fn acts(key: &str, params: &GenerationParams, run: Run) -> bool {
    let writes_codes = run.codes && params.lm_writes_codes();
    let guided = params.guidance_scale > 1.0;
    // What a sample wrote is not planned a second time.
    let plans = run.kind != JobKind::Sample && params.lm_plans();
    match key {
        // Own timesteps replace both.
        "inference_steps" | "shift" => params.timesteps.is_none(),
        "use_adg" | "cfg_interval_start" | "cfg_interval_end" => guided,
        "normalize" => params.target_lufs.is_none(),
        "score_scale" => params.auto_score,
        "audio_cover_strength" => {
            let given = params.follows_codes() && !params.audio_codes.trim().is_empty();
            let on_source = params.works_on_source() && !params.task_type.needs().region;
            writes_codes || given || on_source
        }
        "thinking" => run.codes,
        // Guidance steers the codes alone.
        "lm_cfg_scale" => writes_codes,
        "lm_negative_prompt" => writes_codes && params.lm_cfg_scale > 1.0,
        "lm_seed" => plans || run.kind != JobKind::Generate,
        "use_cot_metas" => run.kind != JobKind::Sample,
        "use_cot_caption" | "use_cot_language" => plans,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param::SPECS;

    const SONG: Run = Run {
        kind: JobKind::Generate,
        codes: true,
    };

    fn idle(params: &GenerationParams, run: Run) -> Vec<&'static str> {
        SPECS
            .iter()
            .map(|spec| spec.key)
            .filter(|key| !acts(key, params, run))
            .collect()
    }

    #[test]
    fn what_hangs_on_another_setting_acts_with_it_alone() {
        let plain = GenerationParams::default();
        assert_eq!(
            idle(&plain, SONG),
            [
                "use_adg",
                "cfg_interval_start",
                "cfg_interval_end",
                "score_scale"
            ]
        );
        let all = GenerationParams {
            guidance_scale: 7.0,
            auto_score: true,
            ..plain.clone()
        };
        assert_eq!(idle(&all, SONG), [""; 0]);
        let replaced = GenerationParams {
            timesteps: Some(vec![1.0, 0.5]),
            target_lufs: Some(-14.0),
            lm_cfg_scale: 1.0,
            ..all.clone()
        };
        assert_eq!(
            idle(&replaced, SONG),
            [
                "inference_steps",
                "shift",
                "normalize",
                "lm_negative_prompt"
            ]
        );
        assert_eq!(
            idle(
                &all,
                Run {
                    codes: false,
                    ..SONG
                }
            ),
            [
                "audio_cover_strength",
                "thinking",
                "lm_cfg_scale",
                "lm_negative_prompt"
            ]
        );
        let sample = Run {
            kind: JobKind::Sample,
            ..SONG
        };
        assert_eq!(
            idle(&all, sample),
            ["use_cot_metas", "use_cot_caption", "use_cot_language"]
        );
    }

    #[test]
    fn a_key_without_a_rule_acts() {
        assert!(acts("brand_new", &GenerationParams::default(), SONG));
    }
}
