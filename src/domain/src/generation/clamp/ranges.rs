//! Numbers of the sampler and of everything that has a range.

use super::{SCORE_SCALE, changed, into_range};
use crate::{generation::GenerationParams, note::Note, param::TURBO_MAX_STEPS, task::Family};

/// What the family sets.
pub(super) fn clamp_sampler(params: &mut GenerationParams, family: Family, notes: &mut Vec<Note>) {
    if family != Family::Turbo {
        return;
    }
    if params.inference_steps > TURBO_MAX_STEPS && params.timesteps.is_none() {
        notes.push(
            changed(
                "inference_steps",
                "Steps",
                &params.inference_steps,
                &TURBO_MAX_STEPS,
                "the limit of turbo models",
            )
            .with("why", "turbo"),
        );
        params.inference_steps = TURBO_MAX_STEPS;
    }
    // The old default of 7 stands in every old file; it never acted on turbo models.
    if (params.guidance_scale - 1.0).abs() > f64::EPSILON {
        notes.push(
            changed(
                "guidance_scale",
                "Guidance",
                &params.guidance_scale,
                &1,
                "turbo models are trained without guidance",
            )
            .with("why", "turbo_guidance"),
        );
        params.guidance_scale = 1.0;
    }
    if params.use_adg {
        notes.push(
            Note::new(
                "use_adg_ignored",
                "use_adg",
                "Adaptive guidance: not used, turbo models are trained without guidance.",
            )
            .with("why", "turbo_guidance"),
        );
        params.use_adg = false;
    }
    if params.cfg_interval_start != 0.0 || params.cfg_interval_end != 1.0 {
        notes.push(
            Note::new(
                "cfg_interval_ignored",
                "cfg_interval_start",
                "Guidance interval: not used, turbo models are trained without guidance.",
            )
            .with("why", "turbo_guidance"),
        );
        (params.cfg_interval_start, params.cfg_interval_end) = (0.0, 1.0);
    }
}

/// What the definitions of the parameters set.
pub(super) fn clamp_ranges(params: &mut GenerationParams, notes: &mut Vec<Note>) {
    let mut number =
        |key: &str, name: &str, value: &mut f64| notes.extend(into_range(key, name, value));
    number("guidance_scale", "Guidance", &mut params.guidance_scale);
    number(
        "cfg_interval_start",
        "Guidance interval start",
        &mut params.cfg_interval_start,
    );
    number(
        "cfg_interval_end",
        "Guidance interval end",
        &mut params.cfg_interval_end,
    );
    number("shift", "Shift", &mut params.shift);
    number(SCORE_SCALE.0, SCORE_SCALE.1, &mut params.score_scale);
    if let Some(target) = &mut params.target_lufs {
        number("target_lufs", "Loudness", target);
    }
    number("repainting_start", "Start", &mut params.repainting_start);
    number(
        "audio_cover_strength",
        "Cover strength",
        &mut params.audio_cover_strength,
    );
    number(
        "cover_noise_strength",
        "Start from the source",
        &mut params.cover_noise_strength,
    );
    number(
        "repaint_strength",
        "Repaint strength",
        &mut params.repaint_strength,
    );
    number("lm_temperature", "Temperature", &mut params.lm_temperature);
    number("lm_cfg_scale", "LM guidance", &mut params.lm_cfg_scale);
    number("lm_top_p", "Top-P", &mut params.lm_top_p);
    number(
        "lm_repetition_penalty",
        "Repetition penalty",
        &mut params.lm_repetition_penalty,
    );
    if let Some(end) = params.repainting_end.as_mut() {
        number("repainting_end", "End", end);
    }
    let mut whole = |key: &str, name: &str, value: &mut usize| {
        let mut number = *value as f64;
        notes.extend(into_range(key, name, &mut number));
        *value = number as usize;
    };
    whole("inference_steps", "Steps", &mut params.inference_steps);
    whole("lm_top_k", "Top-K", &mut params.lm_top_k);
    whole("batch_size", "Takes", &mut params.batch_size);
}
