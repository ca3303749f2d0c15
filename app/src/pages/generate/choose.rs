//! How a recording comes in: from the library or the uploads, as a file, by the microphone.

mod songs;
mod uploads;

use leptos::{html, prelude::*};

pub use self::{songs::FindSongs, uploads::GetUploads};
use self::{
    songs::{FoundSongs, Search},
    uploads::Uploads,
};
use super::uploading::Uploading;
use crate::{
    api::{call::ask, recordings, songs::GetSongs},
    components::{dialog::Dialog, icon::Icon},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    parts,
    player::clock,
    word,
};

/// Songs that one search shows.
const SHOWN: usize = 30;
/// What the file picker offers; the studio looks at the bytes.
const ACCEPT: &str = "audio/*,.wav,.flac,.mp3,.ogg,.oga,.m4a,.aac";

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
        async move {
            let call = GetSongs {
                limit: SHOWN,
                offset: 0,
                query,
                favourite: false,
            };
            ask(call).await.map(|list| list.songs)
        }
    });
    let own = Action::new(|(): &()| async move { ask(recordings::GetUploads {}).await });
    let shows_uploads = RwSignal::new(false);
    let picked = move |_| {
        #[cfg(feature = "hydrate")]
        if let Some(input) = picker.get_untracked() {
            uploading.send(super::files::of(input.files()));
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
                own.dispatch(());
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
            multiple
            accept=ACCEPT
            aria-label=move || t_string!(i18n, tasks.upload)
            node_ref=picker
            on:change=picked
        />
        <Dialog id title=word!(i18n, tasks.choose_title)>
            <Kinds shows_uploads own />
            <Show
                when=move || shows_uploads.get()
                fallback=move || {
                    view! {
                        <Search id find />
                        <div class="choose__songs">
                            <Show when=move || find.value().with(Option::is_some)>
                                <parts::FoundSongs find dialog=id uploading />
                            </Show>
                        </div>
                    }
                }
            >
                <div class="choose__songs">
                    <parts::Uploads own dialog=id uploading />
                </div>
            </Show>
        </Dialog>
    }
    .into_any()
}

/// What a search in the library found.
#[component]
pub fn SongsToChoose(find: FindSongs, dialog: &'static str, uploading: Uploading) -> impl IntoView {
    live(move || {
        let found = find.value().get();
        found.map(|found| view! { <FoundSongs found dialog uploading /> })
    })
}

/// What was sent in.
#[component]
pub fn UploadsToChoose(
    own: GetUploads,
    dialog: &'static str,
    uploading: Uploading,
) -> impl IntoView {
    view! { <Uploads own dialog uploading /> }
}

/// What is offered: songs of the library, or what was sent in.
#[component]
fn Kinds(shows_uploads: RwSignal<bool>, own: GetUploads) -> impl IntoView {
    let i18n = use_i18n();
    let count = move || {
        own.value().with(|found| match found {
            Some(Ok(uploads)) => uploads.len(),
            _ => 0,
        })
    };
    let kind = move |is_uploads: bool, words: Signal<String>| {
        view! {
            <button
                type="button"
                class="chip"
                aria-pressed=move || (shows_uploads.get() == is_uploads).to_string()
                on:click=move |_| shows_uploads.set(is_uploads)
            >
                {words}
            </button>
        }
    };
    view! {
        <div class="chips" role="group" aria-label=move || t_string!(i18n, tasks.choose_title)>
            {kind(false, word!(i18n, library.songs))}
            {kind(
                true,
                Signal::derive(move || t_string!(i18n, tasks.uploads.title, n = count())),
            )}
        </div>
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
            {live(words)}
        </button>
    }
    .into_any()
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

/// Closes a place's dialog.
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
