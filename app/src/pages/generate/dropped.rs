//! A file dropped on the page, wherever: the settings inside go into the form; a recording without any is
//! offered as source or reference; anything else is told. Places that take recordings come first.

use acestep_domain::{Note, UserError, task::TaskType};
use leptos::prelude::*;

use crate::{
    components::{
        icon::Icon,
        note::Notes,
        notice::{Notice, Tone},
    },
    i18n::{t, t_string, use_i18n},
    state::{form::Form, recordings::Recordings},
    word,
};

/// What became of the last file.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    not(feature = "hydrate"),
    expect(dead_code, reason = "files are dropped in browsers only")
)]
enum Outcome {
    /// It is on its way.
    Reading(String),
    /// Its settings are in the form; what of them was left out.
    TakenUp(String, Vec<Note>),
    /// A recording without settings.
    Offered(String),
    /// It could not be used.
    Refused(String, UserError),
}

/// The last file. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Dropped {
    outcome: RwSignal<Option<Outcome>>,
    /// A file is held over the page.
    over: RwSignal<bool>,
    form: Form,
    recordings: Recordings,
}

impl Dropped {
    /// Provides it, and in the browser listens to the window.
    pub fn provide() -> Self {
        let dropped = Self {
            outcome: RwSignal::new(None),
            over: RwSignal::new(false),
            form: Form::expect(),
            recordings: Recordings::expect(),
        };
        provide_context(dropped);
        #[cfg(feature = "hydrate")]
        browser::listen(dropped);
        dropped
    }

    /// Makes a recording of the last file and gives it to the form.
    fn use_as(self, take: fn(Form, String)) {
        #[cfg(feature = "hydrate")]
        if let Some((name, file)) = browser::last() {
            self.outcome.set(Some(Outcome::Reading(name.clone())));
            leptos::task::spawn_local(async move {
                match crate::api::recordings::upload(&name, &file).await {
                    Ok(recording) => {
                        let id = recording.id.clone();
                        self.recordings.add(recording);
                        take(self.form, id);
                        self.outcome.set(None);
                    }
                    Err(error) => self.outcome.set(Some(Outcome::Refused(name, error.0))),
                }
            });
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (take, self.form, self.recordings);
    }
}

/// The recording becomes the source; a new song has none, so it becomes a cover.
fn as_source(form: Form, id: String) {
    if !untrack(|| form.task()).needs().source {
        form.text("task_type")
            .set(TaskType::Cover.as_str().to_owned());
    }
    form.text("src_audio").set(id);
}

fn as_reference(form: Form, id: String) {
    form.set_reference(&id, true);
}

/// What became of it, at the head of the composer.
#[component]
pub fn DroppedNotice() -> impl IntoView {
    let i18n = use_i18n();
    let dropped = expect_context::<Dropped>();
    let close = move |words: Signal<String>| {
        view! {
            <button
                type="button"
                class="button button--quiet"
                on:click=move |_| dropped.outcome.set(None)
            >
                {words}
            </button>
        }
    };
    view! {
        <div class="composer__dropped" role="status">
            {move || match dropped.outcome.get()? {
                Outcome::Reading(name) => {
                    Some(
                        view! {
                            <p class="note note--info">
                                <Icon name="spin" class="icon--spin" />
                                <span dir="auto">{t_string!(i18n, takes.reading, name = name)}</span>
                            </p>
                        }
                            .into_any(),
                    )
                }
                Outcome::TakenUp(_, notes) if notes.is_empty() => None,
                Outcome::TakenUp(name, notes) => {
                    let title = t_string!(i18n, takes.dropped, name = name);
                    Some(
                        view! {
                            <Notice
                                title=Signal::stored(title)
                                text=word!(i18n, takes.left_out)
                                tone=Tone::Warn
                            >
                                <div class="composer__notes">
                                    <Notes notes />
                                </div>
                                {close(word!(i18n, lm.close))}
                            </Notice>
                        }
                            .into_any(),
                    )
                }
                Outcome::Offered(name) => {
                    let title = t_string!(i18n, takes.no_settings, name = name);
                    Some(
                        view! {
                            <Notice
                                title=Signal::stored(title)
                                text=word!(i18n, takes.offer)
                            >
                                <button
                                    type="button"
                                    class="button button--primary"
                                    on:click=move |_| dropped.use_as(as_source)
                                >
                                    {t!(i18n, takes.as_source)}
                                </button>
                                <button
                                    type="button"
                                    class="button"
                                    on:click=move |_| dropped.use_as(as_reference)
                                >
                                    {t!(i18n, takes.as_reference)}
                                </button>
                                {close(word!(i18n, takes.not_now))}
                            </Notice>
                        }
                            .into_any(),
                    )
                }
                Outcome::Refused(name, error) => {
                    let title = t_string!(i18n, takes.drop_failed, name = name);
                    Some(
                        view! {
                            <Notice
                                title=Signal::stored(title)
                                text=Signal::stored(error.to_string())
                                tone=Tone::Error
                            >
                                {close(word!(i18n, lm.close))}
                            </Notice>
                        }
                            .into_any(),
                    )
                }
            }}
        </div>
    }
    .into_any()
}

/// What a drop would do, while a file is held over the page.
#[component]
pub fn DropHint() -> impl IntoView {
    let i18n = use_i18n();
    let dropped = expect_context::<Dropped>();
    view! {
        <Show when=move || dropped.over.get()>
            <p class="drop-hint" aria-hidden="true">
                <Icon name="file" />
                {t!(i18n, takes.drop)}
            </p>
        </Show>
    }
    .into_any()
}

#[cfg(feature = "hydrate")]
mod browser {
    use std::cell::RefCell;

    use leptos::{ev, prelude::*, task::spawn_local};
    use leptos_router::{NavigateOptions, hooks::use_navigate};

    use super::{Dropped, Outcome};
    use crate::{
        api::recordings::settings_in, pages::generate::take::begin::show_composer,
        routes::GENERATE, state::fill::FilledBy,
    };

    thread_local! {
        /// The last file, as long as it may be wanted as a recording.
        static LAST: RefCell<Option<(String, web_sys::Blob)>> = const { RefCell::new(None) };
    }

    pub(super) fn last() -> Option<(String, web_sys::Blob)> {
        LAST.take()
    }

    /// Endings of files that may be recordings, where the browser gives no type.
    const SOUNDS: [&str; 9] = [
        ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aiff",
    ];

    fn is_sound(file: &web_sys::File) -> bool {
        let name = file.name().to_lowercase();
        file.type_().starts_with("audio/") || SOUNDS.iter().any(|ending| name.ends_with(ending))
    }

    fn holds_files(event: &ev::DragEvent) -> bool {
        event
            .data_transfer()
            .is_some_and(|data| data.types().includes(&"Files".into(), 0))
    }

    pub(super) fn listen(dropped: Dropped) {
        let navigate = use_navigate();
        let over = window_event_listener(ev::dragover, move |event| {
            if !holds_files(&event) {
                return;
            }
            // A place that takes recordings has its own mark.
            dropped.over.set(!event.default_prevented());
            event.prevent_default();
        });
        let left = window_event_listener(ev::dragleave, move |event| {
            // Between two elements of the page it has left neither.
            if event.related_target().is_none() {
                dropped.over.set(false);
            }
        });
        let fell = window_event_listener(ev::drop, move |event| {
            dropped.over.set(false);
            if event.default_prevented() || !holds_files(&event) {
                return;
            }
            event.prevent_default();
            let file = event
                .data_transfer()
                .and_then(|data| data.files())
                .and_then(|files| files.get(0));
            if let Some(file) = file {
                read(dropped, file);
                navigate(GENERATE, NavigateOptions::default());
            }
        });
        on_cleanup(move || {
            over.remove();
            left.remove();
            fell.remove();
        });
    }

    fn read(dropped: Dropped, file: web_sys::File) {
        let name = file.name();
        dropped.outcome.set(Some(Outcome::Reading(name.clone())));
        spawn_local(async move {
            let sound = is_sound(&file);
            let outcome = match settings_in(&name, &file).await {
                Ok(found) => {
                    let fields = crate::state::fields::fields_to_restore(&found.params);
                    dropped.form.fill(FilledBy::File, &fields);
                    show_composer();
                    Outcome::TakenUp(name, found.notes)
                }
                Err(error) if error.0.code == "no_settings" && sound => {
                    LAST.set(Some((name.clone(), file.into())));
                    Outcome::Offered(name)
                }
                Err(error) => Outcome::Refused(name, error.0),
            };
            dropped.outcome.set(Some(outcome));
        });
    }
}
