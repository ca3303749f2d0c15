//! Defaults are a function of checkpoint family and tier.

use crate::{
    generation::{AudioFormat, GenerationParams, InferMethod},
    metadata::Language,
    region::RepaintMode,
    task::{Family, TaskType},
    tier::{GpuTier, limits},
};

/// Length used when nobody decides it (engine.md 13.29): fixed, and shown.
pub const AUTO_DURATION_SECS: f64 = 60.0;

/// What a fresh form holds for `family` on `tier` (ui.md 3.6 and 7; engine.md 6.3).
pub fn defaults(family: Family, tier: GpuTier) -> GenerationParams {
    let turbo = family == Family::Turbo;
    GenerationParams {
        task_type: TaskType::Text2music,
        caption: String::new(),
        lyrics: String::new(),
        instrumental: false,
        vocal_language: Language::UNKNOWN,
        bpm: None,
        keyscale: None,
        timesignature: None,
        duration_secs: None,
        batch_size: limits(tier, false).max_batch_size.min(2),
        inference_steps: if turbo { 8 } else { 32 },
        seeds: Vec::new(),
        guidance_scale: if turbo { 1.0 } else { 7.0 },
        use_adg: false,
        cfg_interval_start: 0.0,
        cfg_interval_end: 1.0,
        shift: 3.0,
        infer_method: InferMethod::Ode,
        timesteps: None,
        normalize: true,
        target_lufs: None,
        audio_format: AudioFormat::Mp3,
        auto_lrc: false,
        auto_score: false,
        score_scale: 0.5,
        src_audio: None,
        reference_audio: Vec::new(),
        repainting_start: 0.0,
        repainting_end: None,
        repaint_mode: RepaintMode::Balanced,
        repaint_strength: 0.5,
        audio_cover_strength: 1.0,
        cover_noise_strength: 0.0,
        track_name: None,
        complete_track_classes: Vec::new(),
        audio_codes: String::new(),
        thinking: true,
        lm_seed: None,
        lm_temperature: 0.85,
        lm_cfg_scale: 2.0,
        lm_top_k: 0,
        lm_top_p: 0.9,
        lm_repetition_penalty: 1.0,
        lm_negative_prompt: "NO USER INPUT".to_owned(),
        use_cot_metas: true,
        use_cot_caption: true,
        use_cot_language: true,
        use_constrained_decoding: true,
        constrained_decoding_debug: false,
        loras: None,
    }
}
