//! What the task does with which recording.

use acestep_domain::{
    generation::{GenerationParams, clamp::minutes},
    task::TaskType,
};
use leptos::prelude::*;

use crate::{
    i18n::{t, t_string, use_i18n},
    live::live,
    pages::generate::{tracks, words::Words},
    state::{fields::place_text, form::Form, recordings::Recordings},
};

/// The row; none for a new song.
#[component]
pub(super) fn TaskLine(params: Memo<GenerationParams>) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let text = move || {
        let task = form.task();
        (task != TaskType::Text2music)
            .then(|| params.with(|params| task_text(i18n, form, task, params)))
    };
    let references = move || {
        let count = params.with(|params| params.reference_audio.len());
        (count > 0).then(|| match count {
            1 => t_string!(i18n, tasks.references.one).to_owned(),
            n => t_string!(i18n, tasks.references.other, n = n),
        })
    };
    let line = move || {
        let parts: Vec<String> = [text(), references()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    };
    live(move || {
        line().map(|line| {
            view! {
                <div class="plan__row">
                    <dt>{t!(i18n, params.task_type.label)}</dt>
                    <dd>
                        <bdi>{line}</bdi>
                    </dd>
                </div>
            }
        })
    })
}

/// The task in words. A request that is not complete yet names what it has.
fn task_text(i18n: Words, form: Form, task: TaskType, params: &GenerationParams) -> String {
    let source = form
        .text("src_audio")
        .with(|id| Recordings::expect().find(id));
    let by_codes = task == TaskType::Cover && !params.audio_codes.trim().is_empty();
    let name = match &source {
        _ if by_codes => t_string!(i18n, tasks.does.codes).to_owned(),
        Some(source) => source.name.clone(),
        None => t_string!(i18n, tasks.does.no_source).to_owned(),
    };
    if source.is_none() && !by_codes {
        return name;
    }
    let part = source
        .as_ref()
        .and_then(|source| params.region(source.duration_secs).ok().flatten());
    let track = form
        .text("track_name")
        .with(|track| (!track.is_empty()).then(|| tracks::name(i18n, track)))
        .unwrap_or_else(|| t_string!(i18n, tasks.does.no_track));
    match task {
        TaskType::Text2music => String::new(),
        TaskType::Cover => t_string!(i18n, tasks.does.cover, name = name),
        TaskType::Extract => t_string!(i18n, tasks.does.extract, name = name, track = track),
        TaskType::Complete => {
            let tracks: Vec<&str> = params
                .complete_track_classes
                .iter()
                .map(|track| tracks::name(i18n, track))
                .collect();
            let tracks = if tracks.is_empty() {
                t_string!(i18n, tasks.does.no_track).to_owned()
            } else {
                tracks.join(", ")
            };
            t_string!(i18n, tasks.does.complete, name = name, tracks = tracks)
        }
        TaskType::Lego => t_string!(i18n, tasks.does.lego, name = name, track = track),
        TaskType::Repaint => match (part, source) {
            (Some(part), Some(source)) if part.start_secs >= source.duration_secs - 0.1 => {
                let time = minutes(part.after_secs);
                t_string!(i18n, tasks.does.extend, name = name, time = time)
            }
            (Some(part), _) => {
                let from = place_text(part.start_secs - part.before_secs);
                let to = place_text(part.end_secs - part.before_secs);
                t_string!(i18n, tasks.does.repaint, name = name, from = from, to = to)
            }
            _ => t_string!(i18n, tasks.does.repaint_whole, name = name),
        },
    }
}
