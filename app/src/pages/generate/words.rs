//! Words made from figures: titles, lengths, states. Used by several sections.

use acestep_domain::{
    event::{Progress, Stage},
    generation::{GenerationParams, clamp::minutes},
    job::{Job, JobKind},
    library::Song,
    metadata::Language,
    song_plan::SongPlan,
};
use leptos::prelude::*;

use crate::{
    i18n::t_string,
    state::{StudioStore, fill::open_part},
};

pub use crate::i18n::Words;

/// Longest title, as studio cuts them.
const LONGEST_TITLE: usize = 48;

/// First words of the caption, as studio names songs; none for an empty caption.
pub fn title(params: &GenerationParams) -> Option<String> {
    let mut title = String::new();
    for word in params.caption.split_whitespace() {
        let longer = title.chars().count() + 1 + word.chars().count();
        if !title.is_empty() {
            if longer > LONGEST_TITLE {
                break;
            }
            title.push(' ');
        }
        title.extend(word.chars().take(LONGEST_TITLE));
    }
    let title = title.trim_end_matches([',', '.', ';', ':', '-', ' ']);
    (!title.is_empty()).then(|| title.to_owned())
}

/// The title of a job: of the song it listens to, else the first words of its caption.
pub fn job_title(i18n: Words, store: StudioStore, job: &Job) -> String {
    let source = job.source_song_id.as_ref().and_then(|id| {
        store.songs.with(|songs| {
            let song = songs.iter().find(|song| song.id == *id)?;
            Some(song.title.clone())
        })
    });
    source
        .or_else(|| title(&job.params))
        .unwrap_or_else(|| t_string!(i18n, generate.untitled).to_string())
}

/// What a job of the language model does; nothing to say about one that makes songs.
pub fn kind(i18n: Words, kind: JobKind) -> Option<&'static str> {
    match kind {
        JobKind::Generate => None,
        JobKind::Format => Some(t_string!(i18n, lm.kind.format)),
        JobKind::Sample => Some(t_string!(i18n, lm.kind.sample)),
        JobKind::Understand => Some(t_string!(i18n, lm.kind.understand)),
        JobKind::Encode => Some(t_string!(i18n, lm.kind.encode)),
        JobKind::LyricsTiming => Some(t_string!(i18n, heard.kind.lyrics_timing)),
        JobKind::Score => Some(t_string!(i18n, heard.kind.score)),
    }
}

/// The name of a part of a song, by its name in what the language model writes.
pub fn part(i18n: Words, field: &str) -> &'static str {
    match field {
        "caption" => t_string!(i18n, lm.part.caption),
        "lyrics" => t_string!(i18n, lm.part.lyrics),
        "bpm" => t_string!(i18n, lm.part.tempo),
        "keyscale" => t_string!(i18n, lm.part.key),
        "timesignature" => t_string!(i18n, lm.part.signature),
        "duration" => t_string!(i18n, lm.part.length),
        "language" => t_string!(i18n, lm.part.language),
        "codes" => t_string!(i18n, lm.part.codes),
        _ => t_string!(i18n, lm.part.plan),
    }
}

/// Tempo, key, signature, length and language of a plan.
pub fn plan_facts(plan: &SongPlan) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(plan.bpm.map(|bpm| format!("{bpm} BPM")));
    facts.extend(plan.keyscale.map(|key| key.to_string()));
    facts.extend(plan.timesignature.map(|own| own.label().to_owned()));
    facts.extend(plan.duration_secs.map(|secs| minutes(f64::from(secs))));
    let known = plan.language.filter(|own| *own != Language::UNKNOWN);
    facts.extend(known.map(|own| own.name().to_owned()));
    facts
}

/// The same without what `asked` had given already.
pub fn plan_facts_beside(plan: &SongPlan, asked: &GenerationParams) -> Vec<String> {
    plan_facts(&open_part(plan, asked))
}

/// How many takes, in words.
pub fn takes(i18n: Words, n: usize) -> String {
    if n == 1 {
        t_string!(i18n, generate.takes.one).to_string()
    } else {
        t_string!(i18n, generate.takes.other, n = n)
    }
}

/// About how long, never more exact than is known.
pub fn about(i18n: Words, secs: f32) -> String {
    let secs = f64::from(secs.max(0.0));
    if secs < 1.0 {
        t_string!(i18n, generate.about_second).to_string()
    } else if secs < 60.0 {
        t_string!(i18n, generate.about_seconds, n = secs.round())
    } else if secs < 600.0 {
        t_string!(
            i18n,
            generate.about_minutes,
            time = minutes((secs / 5.0).round() * 5.0)
        )
    } else {
        t_string!(i18n, generate.more_minutes).to_string()
    }
}

/// A part of a time that was called "about" already.
pub fn short(i18n: Words, secs: f32) -> String {
    let secs = f64::from(secs).round();
    if secs < 60.0 {
        t_string!(i18n, generate.seconds, n = secs)
    } else {
        minutes(secs)
    }
}

/// Tempo, key and signature of a song, as asked or as the language model chose them.
pub fn music(song: &Song) -> Vec<String> {
    let params = &song.params;
    let plan = song.plan.clone().unwrap_or_default();
    let bpm = params.bpm.or(plan.bpm).map(|bpm| format!("{bpm} BPM"));
    let key = params.keyscale.or(plan.keyscale).map(|key| key.to_string());
    let signature = params.timesignature.or(plan.timesignature);
    let signature = signature.map(|own| own.label().to_owned());
    [bpm, key, signature].into_iter().flatten().collect()
}

/// Length, tempo, key and signature of a song, as used.
pub fn meta(i18n: Words, song: &Song) -> String {
    let mut parts = vec![
        t_string!(i18n, generate.take_n, n = song.item + 1),
        minutes(song.duration_secs.round()),
    ];
    parts.extend(music(song));
    parts
        .iter()
        .map(|part| isolated(part))
        .collect::<Vec<_>>()
        .join(" · ")
}

/// A figure that keeps its own direction among words of another: `60 BPM` stays in one piece in a line that
/// runs from right to left.
pub fn isolated(figure: &str) -> String {
    format!("\u{2068}{figure}\u{2069}")
}

/// The name of a stage.
pub fn stage(i18n: Words, stage: Stage) -> String {
    match stage {
        Stage::Prepare => t_string!(i18n, generate.stage.prepare).to_string(),
        Stage::LanguageModel => t_string!(i18n, generate.stage.language_model).to_string(),
        Stage::Diffusion => t_string!(i18n, generate.stage.diffusion).to_string(),
        Stage::Decode => t_string!(i18n, generate.stage.decode).to_string(),
        Stage::Save => t_string!(i18n, generate.stage.save).to_string(),
        Stage::Load => t_string!(i18n, generate.stage.load).to_string(),
        Stage::Encode => t_string!(i18n, generate.stage.encode).to_string(),
    }
}

/// Progress of the running job, the newest known.
pub fn progress(store: StudioStore) -> Option<Progress> {
    let job = store.running()?;
    store
        .progress
        .get()
        .filter(|(id, _)| *id == job.id)
        .map(|(_, progress)| progress)
        .or(job.progress)
}

/// Share of the running job that is done.
pub fn fraction(store: StudioStore) -> Option<f32> {
    progress(store).map(|progress| progress.fraction)
}

/// One line about what runs: stage and time left, or that nothing does.
pub fn job_line(i18n: Words, store: StudioStore) -> impl Fn() -> String + Copy {
    move || match progress(store) {
        _ if store.lost.get() => t_string!(i18n, generate.unreachable).to_string(),
        Some(progress) => {
            let name = stage(i18n, progress.stage);
            match progress.eta_secs {
                Some(eta) => format!("{name}, {}", about(i18n, eta)),
                None => name,
            }
        }
        None if store.running().is_some() => t_string!(i18n, generate.starting).to_string(),
        None if store.is_ready() => t_string!(i18n, generate.ready).to_string(),
        None => t_string!(i18n, generate.not_ready).to_string(),
    }
}

/// A number with a true minus sign, as wide as the figures.
pub fn minus(number: f64) -> String {
    number.to_string().replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_the_first_words() {
        let params = |caption: &str| GenerationParams {
            caption: caption.into(),
            ..GenerationParams::default()
        };
        assert_eq!(title(&params("  ")), None);
        assert_eq!(title(&params("Slow piano,")).as_deref(), Some("Slow piano"));
        let long = title(&params(&"piano ".repeat(40))).unwrap();
        assert!(long.chars().count() <= LONGEST_TITLE && long.ends_with("piano"));
    }
}
