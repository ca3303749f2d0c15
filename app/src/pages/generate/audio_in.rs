//! The fold Audio in: recordings whose sound the song takes on, and audio codes that it follows.

use acestep_domain::{
    audio_codes,
    generation::{clamp::minutes, inputs::MAX_REFERENCES},
    task::TaskType,
};
use leptos::prelude::*;

use super::{
    choose::Choose,
    codes_tools::CodesTools,
    fold::Fold,
    folds::Fields,
    numbers::{error_for, notes_for},
    sampler::Number,
    uploading::{UploadLine, Uploading},
};
use crate::{
    components::{
        icon::Icon,
        note::{Invalid, Notes, Reason, Refused},
        recording_player::RecordingPlayer,
        text_area::TextArea,
    },
    i18n::{t, t_string, use_i18n},
    live::{For, Show, live},
    state::{StudioStore, fields::CODES_STRENGTH, form::Form, recordings::Recordings},
    word,
};

/// The fold.
#[component]
pub fn AudioInFold() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let codes = given_codes(form);
    let follows = Memo::new(move |_| form.follows_codes());
    let now = Signal::derive(move || {
        let references = match form.references().len() {
            0 => t_string!(i18n, tasks.references.none).to_owned(),
            1 => t_string!(i18n, tasks.references.one).to_owned(),
            n => t_string!(i18n, tasks.references.other, n = n),
        };
        if !follows.get() {
            return references;
        }
        let codes = match codes.get().unwrap_or_default() {
            0 => t_string!(i18n, tasks.codes_none).to_owned(),
            n => t_string!(i18n, lm.now.codes, n = n),
        };
        t_string!(
            i18n,
            tasks.audio_now,
            references = references,
            codes = codes
        )
    });
    view! {
        <Fold
            id="f-audio"
            keys=&["reference_audio", "audio_codes"]
            name=word!(i18n, tasks.audio_in)
            now
            fields=Fields::AudioIn
        />
    }
    .into_any()
}

/// The fold's fields.
#[component]
pub fn AudioInFields() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let codes = given_codes(form);
    let task = Memo::new(move |_| form.task());
    let follows = Memo::new(move |_| form.follows_codes());
    view! {
        <References />
        <Show when=move || follows.get() fallback=move || view! { <CodesWait codes /> }>
            <Codes codes task />
        </Show>
        <Show when=move || task.get() == TaskType::Text2music>
            <Number
                key="audio_cover_strength"
                field=CODES_STRENGTH
                label=word!(i18n, lm.codes_strength)
                help=word!(i18n, lm.codes_strength_help)
            />
        </Show>
    }
    .into_any()
}

/// Recordings whose sound the song takes on.
#[component]
fn References() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let text = form.text("reference_audio");
    let ids = Memo::new(move |_| form.references());
    let full = Memo::new(move |_| ids.with(Vec::len) >= MAX_REFERENCES);
    let error = error_for("reference_audio");
    let uploading = Uploading::new(|form, recording| {
        let room = untrack(|| form.references().len()) < MAX_REFERENCES;
        if room {
            form.set_reference(&recording.id, true);
        }
        room
    });
    view! {
        <div
            class="field fold__wide source"
            role="group"
            aria-labelledby="reference-label"
            data-place="reference-choose"
            data-over=move || uploading.over.get().then_some("")
            on:dragover=move |event| uploading.drag_over(&event)
            on:dragleave=move |_| uploading.over.set(false)
            on:drop=move |event| uploading.drop(&event)
        >
            <input
                type="hidden"
                id="reference_audio"
                name="reference_audio"
                value=text.get_untracked()
                prop:value=text
            />
            <span class="field__label" id="reference-label">
                {t!(i18n, params.reference_audio.label)}
            </span>
            <For each=move || ids.get() key=Clone::clone let:id>
                <Reference id />
            </For>
            <Show
                when=move || !full.get()
                fallback=move || {
                    view! {
                        <Reason text=Signal::derive(move || {
                            t_string!(i18n, tasks.references.full, n = MAX_REFERENCES)
                        }) />
                    }
                }
            >
                <div class="source__choose needs-script">
                    <Choose id="reference-choose" uploading small=true />
                </div>
            </Show>
            <UploadLine uploading />
            <Invalid id="reference_audio" error />
            <Notes notes=notes_for("reference_audio") />
            <p class="field__help">{t!(i18n, params.reference_audio.help)}</p>
        </div>
    }
    .into_any()
}

/// One of them: name, length, sound, Remove.
#[component]
fn Reference(id: String) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let recordings = Recordings::expect();
    let (own, asked) = (id.clone(), id.clone());
    let found = Memo::new(move |_| recordings.find(&own));
    let gone = Memo::new(move |_| recordings.trouble(&asked));
    let name = move || found.with(|found| found.as_ref().map(|own| own.name.clone()));
    let id = StoredValue::new(id);
    view! {
        <div class="source__reference">
            <div class="section__head">
                <span class="section__count source__name">
                    <bdi>{move || name().unwrap_or_else(|| t_string!(i18n, tasks.unknown).to_owned())}</bdi>
                </span>
                <div class="section__tools needs-script">
                    <button
                        type="button"
                        class="button button--quiet button--small"
                        aria-label=move || {
                            let name = name().unwrap_or_default();
                            format!("{} {name}", t_string!(i18n, tasks.remove)).trim_end().to_owned()
                        }
                        on:click=move |_| id.with_value(|id| form.set_reference(id, false))
                    >
                        <Icon name="x" />
                        {t!(i18n, tasks.remove)}
                    </button>
                </div>
            </div>
            {move || match (found.get(), gone.get()) {
                (Some(recording), _) => {
                    view! { <RecordingPlayer recording slim=true /> }.into_any()
                }
                (None, Some(error)) => {
                    view! {
                        <Refused text=error.to_string() />
                    }
                        .into_any()
                }
                (None, None) => ().into_any(),
            }}
        </div>
    }
    .into_any()
}

/// How many codes are given; `None` when the text is none of them.
pub fn given_codes(form: Form) -> Memo<Option<usize>> {
    let text = form.text("audio_codes");
    Memo::new(move |_| text.with(|text| audio_codes::parse(text).ok().map(|codes| codes.len())))
}

/// Codes that stand in the form while the task reads none.
#[component]
fn CodesWait(codes: Memo<Option<usize>>) -> impl IntoView {
    let i18n = use_i18n();
    // What cannot be read is not nothing either.
    let count = move || codes.get().unwrap_or_default();
    let some = move || codes.get() != Some(0);
    view! {
        <Show when=some>
            <Reason
                class="fold__wide"
                text=Signal::derive(move || t_string!(i18n, tasks.codes_wait, n = count()))
            />
        </Show>
    }
    .into_any()
}

/// Codes as text, with their number and the length they stand for, and what they stand in place of.
#[component]
fn Codes(codes: Memo<Option<usize>>, task: Memo<TaskType>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let value = form.text("audio_codes");
    let thinks = move || {
        let could = store.takes_codes() && store.loaded_lm().is_some_and(|lm| lm.has_codes);
        could && form.switch("thinking").get()
    };
    let unread = Memo::new(move |_| codes.get() != Some(0) && form.codes_unread(store));
    let instead = move || {
        if codes.get() == Some(0) || unread.get() {
            return None;
        }
        match task.get() {
            TaskType::Cover => Some(t_string!(i18n, tasks.codes_for_source)),
            _ if thinks() => Some(t_string!(i18n, lm.codes_for_thinking)),
            _ => None,
        }
    };
    let error = error_for("audio_codes");
    let count = move || {
        codes.get().filter(|count| *count > 0).map(|count| {
            let time = minutes(audio_codes::secs(count));
            t_string!(i18n, lm.codes_count, n = count, time = time)
        })
    };
    view! {
        <div class="field fold__wide">
            <div class="section__head">
                <label class="field__label" for="audio_codes">
                    {t!(i18n, params.audio_codes.label)}
                    <span class="field__aside">{live(count)}</span>
                </label>
                <div class="section__tools needs-script">
                    <button
                        type="button"
                        class="button button--quiet button--small"
                        disabled=move || value.with(String::is_empty)
                        on:click=move |_| value.set(String::new())
                    >
                        <Icon name="x" />
                        {t!(i18n, lm.codes_clear)}
                    </button>
                </div>
            </div>
            <TextArea
                id="audio_codes"
                value
                rows=2
                dir="ltr"
                placeholder=word!(i18n, lm.codes_none)
                error
            />
            <CodesTools given=Signal::derive(move || codes.get().is_none_or(|count| count > 0)) />
            <Invalid id="audio_codes" error />
            <Notes notes=notes_for("audio_codes") />
            {move || {
                unread
                    .get()
                    .then(|| {
                        view! { <Refused text=t_string!(i18n, lm.codes_unread).to_owned() /> }
                    })
            }}
            {move || {
                instead()
                    .map(|text| {
                        view! { <Reason text=text.to_owned() /> }
                    })
            }}
            <p class="field__help">{t!(i18n, params.audio_codes.help)}</p>
        </div>
    }
    .into_any()
}
