//! The settings of a song: what was asked where it differs, and what was used.

use acestep_domain::{
    Note,
    generation::{
        GenerationParams, InferMethod,
        clamp::{is_instrumental, minutes},
    },
    library::Song,
    metadata::Language,
};
use leptos::prelude::*;

use crate::{
    api::form::Restore,
    components::{copy_button::CopyButton, icon::Icon},
    i18n::{Locale, t, td_string, use_i18n},
    state::{StudioStore, form::Form},
};

/// A line of the table.
struct Line {
    /// What it is.
    name: &'static str,
    /// As used.
    used: String,
    /// Parameter keys whose notes stand here.
    keys: &'static [&'static str],
}

/// Table, notes, all parameters, Restore.
#[component]
pub fn Settings(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let id = song.id.clone();
    let params = song.params.clone();
    let all = Signal::stored(serde_json::to_string_pretty(&song.params).unwrap_or_default());
    let stored = StoredValue::new(song);
    let table = move || {
        stored.with_value(|song| {
            let lines = lines(song, i18n.get_locale());
            let (rows, rest) = with_notes(lines, &song.notes);
            view! {
                {rows
                    .into_iter()
                    .map(|(line, notes)| view! { <Row line notes /> })
                    .collect_view()}
                {rest
                    .into_iter()
                    .map(|note| {
                        view! {
                            <tr>
                                <td colspan="2">
                                    <Remark note />
                                </td>
                            </tr>
                        }
                    })
                    .collect_view()}
            }
        })
    };
    view! {
        <section class="panel" aria-labelledby="settings-title">
            <header class="panel__head">
                <h3 class="panel__title" id="settings-title">
                    {t!(i18n, library.settings)}
                </h3>
                <div class="panel__tools">
                    <RestoreAll id params />
                </div>
            </header>
            <table class="params params--used">
                <thead>
                    <tr>
                        <th scope="col">{t!(i18n, library.setting)}</th>
                        <th scope="col">{t!(i18n, library.used)}</th>
                    </tr>
                </thead>
                <tbody>{table}</tbody>
            </table>
            <details class="fold">
                <summary class="fold__head">
                    <span class="fold__name">{t!(i18n, library.all)}</span>
                    <Icon name="down" />
                </summary>
                <div class="fold__body">
                    <div class="fold__tools">
                        <CopyButton text=all />
                    </div>
                    <pre class="params__all fold__wide mono" dir="ltr" tabindex="0">
                        {all}
                    </pre>
                </div>
            </details>
        </section>
    }
    .into_any()
}

/// Puts the settings into the form of the Generation page and goes there.
#[component]
fn RestoreAll(id: String, params: GenerationParams) -> impl IntoView {
    let i18n = use_i18n();
    let restore = ServerAction::<Restore>::new();
    let navigate = leptos_router::hooks::use_navigate();
    let form = Form::expect();
    let store = StudioStore::expect();
    let params = StoredValue::new(params);
    Effect::new(move |_| {
        if restore.value().with(|value| matches!(value, Some(Ok(_)))) {
            params.with_value(|params| form.restore(params));
            store.refresh();
            navigate(
                crate::routes::GENERATE,
                leptos_router::NavigateOptions::default(),
            );
        }
    });
    view! {
        <ActionForm action=restore>
            <input type="hidden" name="song_id" value=id />
            <button class="button button--quiet button--small">
                <Icon name="refresh" />
                {t!(i18n, library.restore)}
            </button>
        </ActionForm>
    }
}

#[component]
fn Row(line: Line, notes: Vec<Note>) -> impl IntoView {
    view! {
        <tr>
            <th scope="row">{line.name}</th>
            <td>
                <bdi>{line.used}</bdi>
                {notes.into_iter().map(|note| view! { <Remark note /> }).collect_view()}
            </td>
        </tr>
    }
}

/// What was asked and why something else was used.
#[component]
fn Remark(note: Note) -> impl IntoView {
    view! {
        <span class="params__note">
            <Icon name="warn" />
            <span>{note.message}</span>
        </span>
    }
}

/// Every line with the notes about it, and the notes about none.
fn with_notes(lines: Vec<Line>, notes: &[Note]) -> (Vec<(Line, Vec<Note>)>, Vec<Note>) {
    let about = |line: &Line, note: &Note| {
        note.field
            .as_deref()
            .is_some_and(|field| line.keys.contains(&field))
    };
    let rest = notes
        .iter()
        .filter(|note| !lines.iter().any(|line| about(line, note)))
        .cloned()
        .collect();
    let rows = lines
        .into_iter()
        .map(|line| {
            let own = notes
                .iter()
                .filter(|note| about(&line, note))
                .cloned()
                .collect();
            (line, own)
        })
        .collect();
    (rows, rest)
}

fn lines(song: &Song, locale: Locale) -> Vec<Line> {
    let params = &song.params;
    let auto = || td_string!(locale, library.auto).to_owned();
    let line = |name, used, keys| Line { name, used, keys };
    let method = match params.infer_method {
        InferMethod::Ode => "ODE",
        InferMethod::Sde => "SDE",
    };
    let vocals = if is_instrumental(params) {
        td_string!(locale, library.instrumental)
    } else {
        td_string!(locale, library.sung)
    };
    let plan = song.plan.clone().unwrap_or_default();
    // What was left open, with what the language model wrote there.
    let beside = |asked: Option<String>, wrote: Option<String>| match (asked, wrote) {
        (Some(asked), _) => asked,
        (None, Some(wrote)) => td_string!(locale, lm.asked_wrote, asked = auto(), wrote = wrote),
        (None, None) => auto(),
    };
    let known =
        |language: Language| (language != Language::UNKNOWN).then(|| language.code().to_owned());
    let spent = time_spent(song, locale);
    let sampler = format!("{}, {:.1}, {method}", song.provenance.steps, params.shift);
    let provenance = &song.provenance;
    vec![
        line(
            td_string!(locale, library.row_length),
            if params.duration_secs.is_none() && plan.duration_secs.is_some() {
                beside(None, Some(minutes(song.duration_secs)))
            } else {
                minutes(song.duration_secs)
            },
            &["duration"],
        ),
        line(
            td_string!(locale, library.row_tempo),
            beside(
                params.bpm.map(|bpm| format!("{bpm} BPM")),
                plan.bpm.map(|bpm| format!("{bpm} BPM")),
            ),
            &["bpm"],
        ),
        line(
            td_string!(locale, library.row_key),
            beside(
                params.keyscale.map(|key| key.to_string()),
                plan.keyscale.map(|key| key.to_string()),
            ),
            &["keyscale"],
        ),
        line(
            td_string!(locale, library.row_time),
            beside(
                params.timesignature.map(|own| own.label().to_owned()),
                plan.timesignature.map(|own| own.label().to_owned()),
            ),
            &["timesignature"],
        ),
        line(
            td_string!(locale, library.row_language),
            beside(known(params.vocal_language), plan.language.and_then(known)),
            &["vocal_language"],
        ),
        line(
            td_string!(locale, library.row_vocals),
            vocals.to_owned(),
            &["instrumental", "lyrics"],
        ),
        line(
            td_string!(locale, library.row_seed),
            song.seed.to_string(),
            &["seed"],
        ),
        line(
            td_string!(locale, library.row_sampler),
            sampler,
            &["inference_steps", "shift", "infer_method", "timesteps"],
        ),
        line(
            td_string!(locale, library.row_guidance),
            format!("{:.1}", params.guidance_scale),
            &[
                "guidance_scale",
                "use_adg",
                "cfg_interval_start",
                "cfg_interval_end",
            ],
        ),
        line(
            td_string!(locale, library.row_format),
            song.audio_format.to_uppercase(),
            &["audio_format"],
        ),
        line(
            td_string!(locale, library.row_model),
            format!(
                "{}{}, {}, {}",
                provenance.model,
                provenance
                    .lm
                    .as_ref()
                    .map_or_else(String::new, |lm| format!(" + {lm}")),
                provenance.device,
                provenance.quantization
            ),
            &["config_path"],
        ),
        line(td_string!(locale, library.row_time_spent), spent, &[]),
    ]
}

/// Seconds by stage; the language model's only where it took part.
fn time_spent(song: &Song, locale: Locale) -> String {
    let report = song.report;
    let secs = |secs: f32| format!("{secs:.1}");
    let (prepare, diffusion) = (secs(report.prepare_secs), secs(report.diffusion_secs));
    let decode = secs(report.decode_secs);
    if report.language_model_secs > 0.0 {
        td_string!(
            locale,
            lm.time_spent,
            lm = secs(report.language_model_secs),
            prepare = prepare,
            diffusion = diffusion,
            decode = decode
        )
    } else {
        td_string!(
            locale,
            library.time_spent,
            prepare = prepare,
            diffusion = diffusion,
            decode = decode
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_of_a_song_is_shown_once() {
        let lines = vec![
            Line {
                name: "Length",
                used: "4:00".into(),
                keys: &["duration"],
            },
            Line {
                name: "Seed",
                used: "7".into(),
                keys: &["seed"],
            },
        ];
        let notes = [
            Note::new("duration_clamped", "duration", "asked 5:30"),
            Note::new("batch_clamped", "batch_size", "asked 4"),
            Note::general("tiles", "small tiles"),
        ];
        let (rows, rest) = with_notes(lines, &notes);
        let counts: Vec<usize> = rows.iter().map(|(_, notes)| notes.len()).collect();
        assert_eq!((counts, rest.len()), (vec![1, 0], 2));
    }
}
