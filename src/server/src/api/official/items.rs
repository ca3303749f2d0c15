//! What a task came to, as the official program lists it.

use acestep_domain::{
    SongPlan, generation::GenerationParams, job::JobKind, library::Song, metadata::Bpm,
};
use acestep_studio::Studio;
use serde_json::{Value, json};

use super::{
    envelope::secs_from_text,
    task::{Status, Task},
};

/// The items of a task: its songs, what was found out, or how it stands.
pub(super) fn items(studio: &Studio, task: &Task) -> Vec<Value> {
    let job = task.now();
    if task.status() != Status::Succeeded {
        return vec![standing(task)];
    }
    if job.kind != JobKind::Generate {
        return vec![words(task)];
    }
    let seeds = seeds_text(&job.seeds);
    let song = |id: &String| match studio.song(id) {
        Ok(song) => finished(&song, &task.asked.params, &seeds),
        Err(error) => {
            let mut item = standing(task);
            item["error"] = json!(acestep_domain::UserError::from(error).to_string());
            item["status"] = json!(Status::Failed.number());
            item["stage"] = json!("deleted");
            item
        }
    };
    job.song_ids.iter().map(song).collect()
}

/// The item of an id that nobody knows.
pub(super) fn unknown(why: &str) -> Value {
    json!({
        "file": "", "wave": "", "status": Status::Failed.number(), "create_time": 0,
        "env": "development", "progress": 0.0, "stage": "not_found", "error": why,
    })
}

/// Where a song is heard.
pub(super) fn address(song: &Song) -> String {
    format!("/v1/audio?path={}.{}", song.id, extension(song))
}

/// The extension of a song's file.
pub(super) fn extension(song: &Song) -> &'static str {
    acestep_domain::generation::AudioFormat::from_name(&song.audio_format)
        .unwrap_or_default()
        .extension()
}

/// A task that waits, runs or failed.
fn standing(task: &Task) -> Value {
    let job = task.now();
    let asked = &task.asked.params;
    let mut item = json!({
        "file": "", "wave": "", "status": task.status().number(),
        "create_time": secs_from_text(&task.asked.created_at), "env": "development",
        "prompt": job.params.caption, "lyrics": job.params.lyrics,
        "metas": metas(&job.params, asked),
        "progress": task.fraction(), "stage": task.stage(), "notes": job.notes,
    });
    if let Some(why) = task.why() {
        item["error"] = json!(why.to_string().trim_end());
    }
    item
}

fn finished(song: &Song, asked: &GenerationParams, seeds: &str) -> Value {
    // What was asked with what was written for it.
    let made = song.recipe();
    let mut metas = metas(&made, asked);
    metas["duration"] = json!(song.duration_secs);
    json!({
        "file": address(song), "wave": "", "status": Status::Succeeded.number(),
        "create_time": secs_from_text(&song.created_at), "env": "development",
        "prompt": made.caption, "lyrics": made.lyrics, "metas": metas,
        "generation_info": figures(song), "seed_value": seeds, "seed": song.seed,
        "lm_model": song.provenance.lm.as_deref().unwrap_or_default(),
        "dit_model": song.provenance.model,
        "progress": 1.0, "stage": "succeeded", "notes": song.notes,
    })
}

fn metas(used: &GenerationParams, asked: &GenerationParams) -> Value {
    json!({
        "bpm": used.bpm, "duration": used.duration_secs, "genres": "",
        "keyscale": text(used.keyscale.as_ref()),
        "timesignature": text(used.timesignature.as_ref()),
        "prompt": asked.caption, "lyrics": asked.lyrics,
    })
}

/// What the language model wrote or heard, without songs.
fn words(task: &Task) -> Value {
    let job = task.now();
    let asked = &task.asked.params;
    let plan = job.plan.clone().unwrap_or_default();
    let SongPlan {
        bpm,
        keyscale,
        timesignature,
        ..
    } = &plan;
    let (keyscale, timesignature) = (text(keyscale.as_ref()), text(timesignature.as_ref()));
    let language = text(plan.language.as_ref());
    json!({
        "file": "", "wave": "", "status": Status::Succeeded.number(),
        "create_time": secs_from_text(&job.created_at), "env": "development",
        "bpm": bpm.map(|Bpm(beats)| beats), "keyscale": keyscale, "timesignature": timesignature,
        "duration": plan.duration_secs, "genre": "", "prompt": plan.caption, "lyrics": plan.lyrics,
        "language": language, "audio_codes": job.audio_codes,
        "metas": {
            "bpm": bpm.map(|Bpm(beats)| beats), "duration": plan.duration_secs, "genres": "",
            "keyscale": keyscale, "timesignature": timesignature, "language": language,
            "prompt": asked.caption, "lyrics": asked.lyrics,
        },
        "audio_paths": [], "progress": 1.0, "stage": "succeeded", "notes": job.notes,
    })
}

/// In a line what a song took.
fn figures(song: &Song) -> String {
    let report = &song.report;
    let mut text = format!(
        "{}, {} steps, seed {}.",
        song.provenance.model, song.provenance.steps, song.seed
    );
    if let Some(lm) = &song.provenance.lm {
        text.push_str(&format!(
            " Language model {lm}: {:.2} s.",
            report.language_model_secs
        ));
    }
    text.push_str(&format!(
        " Conditions {:.2} s, diffusion {:.2} s, decoding {:.2} s.",
        report.prepare_secs, report.diffusion_secs, report.decode_secs
    ));
    text
}

pub(super) fn text<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn seeds_text(seeds: &[u32]) -> String {
    let seeds: Vec<String> = seeds.iter().map(u32::to_string).collect();
    seeds.join(",")
}
