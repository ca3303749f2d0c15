//! How a recording comes in: from the library, as a file, dropped, by the microphone.

use std::time::Duration;

use acestep_domain::{UserError, library::Song};
use leptos::{ev, html, leptos_dom::helpers::TimeoutHandle, prelude::*};

use crate::{
    api::{ApiError, recordings::Recording, songs::songs},
    components::{dialog::Dialog, icon::Icon, note::Refused},
    i18n::{t, t_string, use_i18n},
    player::clock,
    state::{form::Form, recordings::Recordings},
    word,
};

/// Songs that one search shows.
const SHOWN: usize = 30;
/// Quiet time before a search starts while typing.
const QUIET: Duration = Duration::from_millis(250);
/// What the file picker offers; the studio looks at the bytes.
const ACCEPT: &str = "audio/*,.wav,.flac,.mp3,.ogg,.oga,.m4a,.aac";

/// A place that takes recordings: what is on its way, and what was refused. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Uploading {
    /// A file is held over the place.
    pub over: RwSignal<bool>,
    /// Name of the file on its way.
    pub busy: RwSignal<Option<String>>,
    /// Why the last file was not taken.
    pub refused: RwSignal<Option<UserError>>,
    /// Seconds of the recording that runs.
    pub recorded_secs: RwSignal<Option<u32>>,
    take: fn(Form, Recording),
    form: Form,
    recordings: Recordings,
}

impl Uploading {
    /// A place whose recordings `take` puts into the form.
    pub fn new(take: fn(Form, Recording)) -> Self {
        Self {
            over: RwSignal::new(false),
            busy: RwSignal::new(None),
            refused: RwSignal::new(None),
            recorded_secs: RwSignal::new(None),
            take,
            form: Form::expect(),
            recordings: Recordings::expect(),
        }
    }

    fn take(self, recording: Recording) {
        self.refused.try_set(None);
        self.recordings.add(recording.clone());
        (self.take)(self.form, recording);
    }

    /// A file is held over it.
    pub fn drag_over(self, event: &ev::DragEvent) {
        event.prevent_default();
        self.over.set(true);
    }

    /// A file is dropped on it.
    pub fn drop(self, event: &ev::DragEvent) {
        event.prevent_default();
        self.over.set(false);
        #[cfg(feature = "hydrate")]
        if let Some(file) = event
            .data_transfer()
            .and_then(|data| data.files())
            .and_then(|files| files.get(0))
        {
            self.send(file.name(), file.into());
        }
    }

    /// Brings a file to the studio.
    #[cfg(feature = "hydrate")]
    pub fn send(self, name: String, file: web_sys::Blob) {
        self.refused.set(None);
        self.busy.set(Some(name.clone()));
        leptos::task::spawn_local(async move {
            match crate::api::recordings::upload(&name, &file).await {
                Ok(recording) => self.take(recording),
                // The place may have gone from the page meanwhile.
                Err(error) => drop(self.refused.try_set(Some(error.0))),
            }
            self.busy.try_set(None);
        });
    }
}

impl Uploading {
    /// Starts to record, or ends the recording and brings it to the studio; `name` names it.
    pub fn record(self, name: String) {
        #[cfg(feature = "hydrate")]
        {
            use crate::recorder::{LONGEST_SECS, abandon, start, stop};

            if self.recorded_secs.get_untracked().is_some() {
                self.recorded_secs.set(None);
                leptos::task::spawn_local(async move {
                    match stop().await {
                        Ok(Some(file)) => self.send(name, file),
                        Ok(None) => {}
                        Err(error) => drop(self.refused.try_set(Some(error))),
                    }
                });
                return;
            }
            self.refused.set(None);
            leptos::task::spawn_local(async move {
                if let Err(error) = start().await {
                    self.refused.try_set(Some(error));
                    return;
                }
                if self.recorded_secs.try_set(Some(0)).is_some() {
                    // The place has gone from the page meanwhile.
                    abandon();
                    return;
                }
                self.count(move || {
                    let full = self.recorded_secs.get_untracked() >= Some(LONGEST_SECS);
                    if full {
                        self.record(name.clone());
                    }
                });
            });
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = name;
    }

    /// Counts the seconds of a recording until it ends.
    #[cfg(feature = "hydrate")]
    fn count(self, each: impl Fn() + 'static) {
        let timer = StoredValue::new(None::<leptos::leptos_dom::helpers::IntervalHandle>);
        let tick = move || match self.recorded_secs.try_get_untracked().flatten() {
            Some(secs) => {
                self.recorded_secs.set(Some(secs + 1));
                each();
            }
            None => {
                if let Some(timer) = timer.try_get_value().flatten() {
                    timer.clear();
                }
            }
        };
        timer.set_value(set_interval_with_handle(tick, Duration::from_secs(1)).ok());
    }
}

/// What is on its way, or why it was not taken.
#[component]
pub fn UploadLine(uploading: Uploading) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <div class="source__line" role="status">
            {move || {
                uploading
                    .busy
                    .get()
                    .map(|name| {
                        view! {
                            <p class="note note--info">
                                <Icon name="spin" class="icon--spin" />
                                <span dir="auto">
                                    {t_string!(i18n, tasks.uploading, name = name)}
                                </span>
                            </p>
                        }
                    })
            }}
        </div>
        <div role="alert">
            {move || {
                uploading
                    .refused
                    .get()
                    .map(|error| {
                        view! {
                            <Refused text=error.to_string() />
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

/// Buttons of a place: From library, Upload, Record.
#[component]
pub fn Choose(
    /// Id of the list of songs, unique on the page.
    id: &'static str,
    /// The place.
    uploading: Uploading,
    /// Drawn without a frame.
    #[prop(optional)]
    small: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let class = if small {
        "button button--quiet button--small"
    } else {
        "button"
    };
    let picker = NodeRef::<html::Input>::new();
    let find = Action::new(|query: &String| {
        let query = query.clone();
        async move { songs(SHOWN, 0, query, false).await.map(|list| list.songs) }
    });
    let picked = move |_| {
        #[cfg(feature = "hydrate")]
        if let Some(input) = picker.get_untracked()
            && let Some(file) = input.files().and_then(|files| files.get(0))
        {
            uploading.send(file.name(), file.into());
            // The same file can be picked again.
            input.set_value("");
        }
    };
    view! {
        <button
            type="button"
            class=class
            popovertarget=id
            on:click=move |_| {
                find.dispatch(String::new());
            }
        >
            <Icon name="list" />
            {t!(i18n, tasks.from_library)}
        </button>
        <button
            type="button"
            class=class
            on:click=move |_| {
                if let Some(input) = picker.get_untracked() {
                    input.click();
                }
            }
        >
            <Icon name="upload" />
            {t!(i18n, tasks.upload)}
        </button>
        <Record uploading class />
        <input
            type="file"
            hidden
            accept=ACCEPT
            aria-label=move || t_string!(i18n, tasks.upload)
            node_ref=picker
            on:change=picked
        />
        <Dialog id title=word!(i18n, tasks.choose_title)>
            <Search id find />
            <div class="choose__songs">
                {move || {
                    find.value()
                        .get()
                        .map(|found| view! { <FoundSongs found dialog=id uploading /> })
                }}
            </div>
        </Dialog>
    }
    .into_any()
}

/// Starts and ends a recording.
#[component]
fn Record(uploading: Uploading, class: &'static str) -> impl IntoView {
    let i18n = use_i18n();
    // A recording nobody can end any more would keep the microphone.
    on_cleanup(move || {
        if uploading
            .recorded_secs
            .try_get_untracked()
            .flatten()
            .is_some()
        {
            uploading.recorded_secs.try_set(None);
            #[cfg(feature = "hydrate")]
            crate::recorder::abandon();
        }
    });
    let words = move || match uploading.recorded_secs.get() {
        Some(secs) => {
            let time = clock(f64::from(secs));
            t_string!(i18n, tasks.record_stop, time = time)
        }
        None => t_string!(i18n, tasks.record).to_owned(),
    };
    view! {
        <button
            type="button"
            class=class
            aria-pressed=move || uploading.recorded_secs.get().is_some().to_string()
            on:click=move |_| {
                uploading.record(format!("{}.wav", t_string!(i18n, tasks.record_name)));
            }
        >
            <Icon name="mic" />
            {words}
        </button>
    }
    .into_any()
}

#[component]
fn Search(id: &'static str, find: Action<String, Result<Vec<Song>, ApiError>>) -> impl IntoView {
    let i18n = use_i18n();
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let typed = move |event: ev::Event| {
        let query = event_target_value(&event);
        if let Some(timer) = timer.get_value() {
            timer.clear();
        }
        let search = move || {
            find.dispatch(query);
        };
        timer.set_value(set_timeout_with_handle(search, QUIET).ok());
    };
    let field = format!("{id}-search");
    view! {
        <div class="field">
            <label class="field__label" for=field.clone()>
                {t!(i18n, library.search)}
            </label>
            <input
                class="field__input"
                id=field
                type="search"
                dir="auto"
                autocomplete="off"
                placeholder=move || t_string!(i18n, library.search_hint)
                on:input=typed
                // Enter would send the form round it.
                on:keydown=move |event| {
                    if event.key() == "Enter" {
                        event.prevent_default();
                    }
                }
            />
        </div>
    }
    .into_any()
}

#[component]
fn FoundSongs(
    found: Result<Vec<Song>, ApiError>,
    dialog: &'static str,
    uploading: Uploading,
) -> impl IntoView {
    let i18n = use_i18n();
    match found {
        Err(error) => view! {
            <Refused text=error.0.to_string() alert=true />
        }
        .into_any(),
        Ok(songs) if songs.is_empty() => {
            view! { <p class="section__count">{t!(i18n, tasks.no_song)}</p> }.into_any()
        }
        Ok(songs) => songs
            .iter()
            .map(Recording::from)
            .map(|recording| {
                let (name, length) = (recording.name.clone(), clock(recording.duration_secs));
                view! {
                    <button
                        type="button"
                        class="menu__item"
                        on:click=move |_| {
                            close(dialog);
                            uploading.take(recording.clone());
                            focus_place(dialog);
                        }
                    >
                        <bdi class="choose__name">{name}</bdi>
                        <span class="menu__hint" dir="ltr">
                            {length}
                        </span>
                    </button>
                }
            })
            .collect_view()
            .into_any(),
    }
}

/// Puts the focus on the place's own button: the one that had it may be gone with what stood there.
/// `dialog` is the place's list of songs.
pub fn focus_place(dialog: &'static str) {
    #[cfg(feature = "hydrate")]
    {
        use leptos::wasm_bindgen::JsCast as _;
        // The page is drawn anew first.
        request_animation_frame(move || {
            let find = |selector: &str| document().query_selector(selector).ok().flatten();
            let place = find(&format!("button[popovertarget=\"{dialog}\"]"))
                .or_else(|| find(&format!("[data-place=\"{dialog}\"] button")))
                .and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok());
            if let Some(place) = place {
                // What cannot take it leaves it where it is.
                let _ = place.focus();
            }
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = dialog;
}

fn close(dialog: &str) {
    #[cfg(feature = "hydrate")]
    {
        use leptos::wasm_bindgen::JsCast as _;
        if let Some(dialog) = document()
            .get_element_by_id(dialog)
            .and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok())
        {
            // A dialog that is closed already is what was wanted.
            let _ = dialog.hide_popover();
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = dialog;
}
