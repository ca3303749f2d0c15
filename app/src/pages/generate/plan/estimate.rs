//! How long a run takes, by the pace of the last one.

use acestep_domain::{generation::GenerationParams, library::Song};

use crate::{i18n::t_string, pages::generate::words};

/// Seconds a run takes, by stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    /// The language model; 0 where it is not asked or was not measured.
    pub lm: f32,
    /// The diffusion loop.
    pub diffusion: f32,
    /// Latents to sound.
    pub decode: f32,
}

/// Seconds that `params` take at the pace of `last`; `lm_loaded` says whether a language model takes part.
pub(super) fn estimate(
    params: &GenerationParams,
    last: &Song,
    lm_loaded: bool,
) -> Option<Estimate> {
    let report = last.report;
    let made = last.duration_secs as f32;
    let old_steps = last.provenance.steps as f32 * last.params.batch_size as f32;
    if made <= 0.0 || old_steps <= 0.0 || report.diffusion_secs <= 0.0 {
        return None;
    }
    let secs = params.duration_secs? as f32 * params.batch_size as f32;
    let steps = params
        .timesteps
        .as_ref()
        .map_or(params.inference_steps, Vec::len) as f32;
    let lm = if lm_loaded && params.lm_writes_codes() && !last.audio_codes.is_empty() {
        let old_secs = made * last.params.batch_size as f32;
        report.language_model_secs / old_secs * secs
    } else if lm_loaded && params.lm_plans() && last.audio_codes.is_empty() {
        report.language_model_secs
    } else {
        0.0
    };
    Some(Estimate {
        lm,
        diffusion: report.diffusion_secs / (made * old_steps) * steps * secs,
        decode: report.decode_secs / made * secs,
    })
}

/// The parts of the time, in words.
pub(super) fn time_parts(i18n: words::Words, time: Estimate) -> String {
    let diffusion = words::short(i18n, time.diffusion);
    let decode = words::short(i18n, time.decode);
    if time.lm > 0.0 {
        let lm = words::short(i18n, time.lm);
        t_string!(
            i18n,
            lm.time_parts,
            lm = lm,
            diffusion = diffusion,
            decode = decode
        )
    } else {
        t_string!(
            i18n,
            generate.time_parts,
            diffusion = diffusion,
            decode = decode
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(secs: f64, steps: usize, batch: usize, diffusion: f32, decode: f32) -> Song {
        serde_json::from_value(serde_json::json!({
            "id": "1", "job_id": "1", "item": 0, "title": "x", "created_at": "", "duration_secs": secs,
            "sample_rate_hz": 48000, "channels": 2, "audio_format": "wav", "size_bytes": 1, "seed": 1,
            "params": { "batch_size": batch },
            "provenance": { "app_version": "", "model": "m", "device": "cpu", "quantization": "none", "steps": steps },
            "report": { "peak": 0.9, "rms": 0.1, "gain": 1.0, "prepare_secs": 0.1, "diffusion_secs": diffusion, "decode_secs": decode },
            "notes": [], "peaks": [], "favourite": false
        }))
        .unwrap()
    }

    #[test]
    fn twice_the_length_and_half_the_steps_take_as_long_in_diffusion() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            batch_size: 1,
            inference_steps: 4,
            ..GenerationParams::default()
        };
        let time = estimate(&params, &song(30.0, 8, 1, 10.0, 3.0), true).unwrap();
        assert!((time.diffusion - 10.0).abs() < 1e-4 && (time.decode - 6.0).abs() < 1e-4);
    }

    #[test]
    fn codes_of_a_song_twice_as_long_take_the_language_model_twice_as_long() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            batch_size: 1,
            ..GenerationParams::default()
        };
        let mut last = song(30.0, 8, 1, 10.0, 3.0);
        last.report.language_model_secs = 4.0;
        last.audio_codes = "<|audio_code_1|>".to_owned();
        let lm = |loaded| estimate(&params, &last, loaded).unwrap().lm;
        assert!((lm(true) - 8.0).abs() < 1e-4 && lm(false) == 0.0);
    }

    #[test]
    fn nothing_is_told_without_a_measured_run() {
        let params = GenerationParams {
            duration_secs: Some(60.0),
            ..GenerationParams::default()
        };
        assert_eq!(estimate(&params, &song(30.0, 8, 1, 0.0, 0.0), false), None);
    }
}
