//! The source of a task: which recording, how it sounds, and what of it the task takes.

use acestep_domain::{generation::clamp::minutes, task::TaskType};
use leptos::prelude::*;

use super::{
    choose::{Choose, focus_place},
    numbers::{error_for, notes_for},
    part::Part,
    sampler::Number,
    tracks::Tracks,
    uploading::{UploadLine, Uploading},
};
use crate::{
    api::recordings::Recording,
    components::{
        icon::Icon,
        note::{Invalid, Notes, Refused},
        recording_player::RecordingPlayer,
    },
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    parts,
    state::{form::Form, recordings::Recordings},
    word,
};

/// Everything a task on a source asks for beside the words; nothing for a new song.
#[component]
pub fn SourceParts() -> impl IntoView {
    let form = Form::expect();
    let task = Memo::new(move |_| form.task());
    view! {
        <input type="hidden" id="src_audio" name="src_audio" prop:value=form.text("src_audio") value=form.text("src_audio").get_untracked() />
        <Show when=move || task.get().needs().source>
            <parts::Source task />
        </Show>
    }
    .into_any()
}

/// The source, and the tracks where the task asks for them.
#[component]
pub fn SourceAndTracks(
    /// The task, one that works on a source.
    task: Memo<TaskType>,
) -> impl IntoView {
    view! {
        <Source task />
        <Show when=move || task.get().needs().track || task.get().needs().tracks>
            <Tracks task />
        </Show>
    }
    .into_any()
}

#[component]
fn Source(task: Memo<TaskType>) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let recordings = Recordings::expect();
    let id = form.text("src_audio");
    let source = Memo::new(move |_| id.with(|id| recordings.find(id)));
    let gone = Memo::new(move |_| id.with(|id| recordings.trouble(id)));
    let given = Memo::new(move |_| id.with(|id| !id.is_empty()));
    let uploading = Uploading::new(|form, recording| {
        form.text("src_audio").set(recording.id.clone());
        true
    });
    let about = move || {
        source
            .get()
            .map(|source| (source.name, minutes(source.duration_secs)))
    };
    // That none is chosen is said by the empty place; what the studio or the domain says otherwise stands here.
    let error = error_for("src_audio");
    let refused = Signal::derive(move || error.get().filter(|_| given.get()));
    // A cover with codes needs no source, and does not use one.
    let codes = form.text("audio_codes");
    let by_codes = Memo::new(move |_| task.get() == TaskType::Cover && form.gives_codes());
    let notes = notes_for("src_audio");
    let notes = Signal::derive(move || {
        let mut notes = notes.get();
        notes.retain(|note| note.code != "src_audio_ignored" || !by_codes.get());
        notes
    });
    view! {
        <section
            class="section source"
            id="s-source"
            aria-labelledby="source-label"
            data-over=move || uploading.over.get().then_some("")
            on:dragover=move |event| uploading.drag_over(&event)
            on:dragleave=move |_| uploading.over.set(false)
            on:drop=move |event| uploading.drop(&event)
        >
            <div class="section__head">
                <h2 class="section__label" id="source-label">
                    {t!(i18n, params.src_audio.label)}
                </h2>
                {move || {
                    about()
                        .map(|(name, length)| {
                            view! {
                                <span class="section__count source__name">
                                    <bdi>{name}</bdi>
                                    " · "
                                    <bdi dir="ltr">{length}</bdi>
                                </span>
                            }
                        })
                }}
                <Show when=move || given.get()>
                    <div class="section__tools needs-script">
                        <Choose id="source-choose" uploading small=true />
                        <button
                            type="button"
                            class="button button--quiet button--small"
                            on:click=move |_| {
                                id.set(String::new());
                                focus_place("source-choose");
                            }
                        >
                            <Icon name="x" />
                            {t!(i18n, tasks.remove)}
                        </button>
                    </div>
                </Show>
            </div>
            {move || {
                if !given.get() {
                    return if by_codes.get() {
                        ().into_any()
                    } else {
                        view! { <NoSource task uploading /> }.into_any()
                    };
                }
                if let Some(error) = gone.get() {
                    return view! {
                        <Refused text=if error.code == "not_found" {
                            t_string!(i18n, tasks.gone).to_owned()
                        } else {
                            error.to_string()
                        } />
                    }
                        .into_any();
                }
                match source.get() {
                    None => {
                        view! { <p class="section__count">{t!(i18n, tasks.looking)}</p> }.into_any()
                    }
                    Some(source) => view! { <Chosen source task /> }.into_any(),
                }
            }}
            <UploadLine uploading />
            <Invalid id="src_audio" error=refused />
            <Notes notes />
            <Show when=move || by_codes.get()>
                <p class="note">
                    <Icon name="warn" />
                    <span>
                        {move || {
                            if given.get() {
                                t_string!(i18n, tasks.codes_replace)
                            } else {
                                t_string!(i18n, tasks.codes_suffice)
                            }
                        }}
                    </span>
                    <button
                        type="button"
                        class="note__action needs-script"
                        on:click=move |_| codes.set(String::new())
                    >
                        {t!(i18n, tasks.codes_remove)}
                    </button>
                </p>
            </Show>
            <Show when=move || matches!(task.get(), TaskType::Cover | TaskType::Extract | TaskType::Complete)>
                <div class="source__faders">
                    <Number
                        key="audio_cover_strength"
                        label=word!(i18n, params.audio_cover_strength.label)
                        help=word!(i18n, params.audio_cover_strength.help)
                    />
                    <Show when=move || task.get() == TaskType::Cover>
                        <Number
                            key="cover_noise_strength"
                            label=word!(i18n, params.cover_noise_strength.label)
                            help=word!(i18n, params.cover_noise_strength.help)
                            off_at=0.0
                        />
                    </Show>
                </div>
            </Show>
        </section>
    }
    .into_any()
}

/// What will be here, and how.
#[component]
fn NoSource(task: Memo<TaskType>, uploading: Uploading) -> impl IntoView {
    let i18n = use_i18n();
    let text = move || match task.get() {
        TaskType::Text2music | TaskType::Cover => t_string!(i18n, tasks.no_source.cover),
        TaskType::Repaint => t_string!(i18n, tasks.no_source.repaint),
        TaskType::Lego => t_string!(i18n, tasks.no_source.lego),
        TaskType::Extract => t_string!(i18n, tasks.no_source.extract),
        TaskType::Complete => t_string!(i18n, tasks.no_source.complete),
    };
    view! {
        <div class="empty source__none">
            <p class="empty__title">{t!(i18n, tasks.no_source.title)}</p>
            <p class="empty__text">{live(text)}</p>
            <div class="empty__actions needs-script">
                <Choose id="source-choose" uploading />
            </div>
            <p class="empty__text needs-no-script">{t!(i18n, tasks.no_script)}</p>
        </div>
    }
    .into_any()
}

#[component]
fn Chosen(source: Recording, task: Memo<TaskType>) -> impl IntoView {
    let has_part = Memo::new(move |_| task.get().needs().region);
    live(move || {
        let source = source.clone();
        if has_part.get() {
            view! { <Part source task /> }.into_any()
        } else {
            view! { <RecordingPlayer recording=source /> }.into_any()
        }
    })
}
