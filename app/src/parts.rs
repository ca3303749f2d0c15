//! Parts of the page whose program the browser loads when they are shown.
//!
//! The server draws them as any other. In the browser each is a file of its own (`cargo xtask build` cuts the
//! program at the functions marked here), so the Generation page does not wait for what other pages need.

mod asleep;

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};

use acestep_domain::task::TaskType;
use leptos::{
    prelude::*,
    wasm_split::{SplitLoaderError, wasm_split},
};

#[cfg(feature = "hydrate")]
use crate::pages::generate::{dropped::Dropped, files::Brought};
use crate::{
    api::{call::Call, jobs::Cancel},
    components,
    i18n::{t, use_i18n},
    live::live,
    pages::{
        self,
        generate::{
            choose::{FindSongs, GetUploads},
            folds::Fields,
            uploading::Uploading,
        },
    },
};

pub use asleep::Sleepers;

type Drawn = Result<AnyView, SplitLoaderError>;

/// A part: whether its program is there, how it comes, and what shows in a document that has the part. Parts of one
/// file are apart all the same: each waits for its own way into it.
struct Part {
    there: AtomicBool,
    load: fn() -> LocalFuture<Result<(), SplitLoaderError>>,
    #[cfg_attr(
        not(feature = "hydrate"),
        expect(dead_code, reason = "a browser finds what a server drew")
    )]
    selector: &'static str,
}

type LocalFuture<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

/// A function whose code, and all that only it needs, is cut off; and a component that draws it.
macro_rules! cut {
    (
        $(#[$about:meta])*
        $component:ident($($name:ident: $kind:ty),*) is $drawn:path, shows $selector:literal,
        in $module:ident as $part:ident, $cut:ident, $load:ident
    ) => {
        static $part: Part = Part {
            // The server has the whole program.
            there: AtomicBool::new(cfg!(not(target_family = "wasm"))),
            load: || Box::pin($load()),
            selector: $selector,
        };

        #[wasm_split($module, wasm_split_path = leptos::wasm_split, preload($load), fallible)]
        fn $cut($($name: $kind),*) -> Drawn {
            use $drawn as Drawn;
            Ok(view! { <Drawn $($name)* /> }.into_any())
        }

        $(#[$about])*
        #[component]
        pub fn $component($($name: $kind),*) -> impl IntoView {
            later(&$part, move || $cut($($name),*))
        }
    };
}

cut! {
    /// The library.
    LibraryPage() is pages::library::LibraryPage, shows "main.library",
    in library as LIBRARY, library, load_library
}
cut! {
    /// The comparison of two songs.
    ComparePage() is pages::compare::ComparePage, shows "main.compare",
    in compare as COMPARE, compare, load_compare
}
cut! {
    /// The Service Configuration panel as a page.
    ServicePage() is pages::service::ServicePage, shows ".service-page",
    in service as SERVICE_PAGE, service_page, load_service_page
}
cut! {
    /// The Service Configuration panel on the Generation page.
    ServicePanel() is pages::service::ServicePanel, shows ".generate__panel, .generate__done",
    in service as SERVICE_PANEL, service_panel, load_service_panel
}
cut! {
    /// What ended badly, runs, waits and was made.
    RunList(cancel: Call<Cancel>) is pages::generate::runs::RunList, shows ".runs[data-any]",
    in runs as RUNS, run_list, load_run_list
}
cut! {
    /// Source and tracks of a task.
    Source(task: Memo<TaskType>) is pages::generate::source::SourceAndTracks, shows "#s-source",
    in recordings as SOURCE, source, load_source
}
cut! {
    /// What became of files dropped on the page.
    DroppedFiles() is pages::generate::dropped::DroppedFiles, shows "",
    in recordings as DROPPED, dropped_files, load_dropped_files
}
cut! {
    /// Songs to choose from.
    FoundSongs(find: FindSongs, dialog: &'static str, uploading: Uploading) is pages::generate::choose::SongsToChoose,
    shows "",
    in recordings as FOUND, found_songs, load_found_songs
}
cut! {
    /// Uploads to choose from.
    Uploads(own: GetUploads, dialog: &'static str, uploading: Uploading) is pages::generate::choose::UploadsToChoose,
    shows "",
    in recordings as UPLOADS, uploads, load_uploads
}

cut! {
    /// The fields inside a fold.
    FoldFields(of: Fields) is pages::generate::folds::FoldFields, shows "#composer .fold[open]",
    in folds as FOLDS, fold_fields, load_fold_fields
}

cut! {
    /// The fields of Simple.
    SimpleFields() is pages::generate::simple::Simple, shows "#composer [name=mode][value=simple]:checked",
    in simple as SIMPLE, simple_fields, load_simple_fields
}
cut! {
    /// Settings of Custom that act unseen in Simple.
    Unseen() is pages::generate::unseen::UnseenSettings, shows "#composer [name=mode][value=simple]:checked",
    in simple as UNSEEN, unseen, load_unseen
}
cut! {
    /// What the keys do.
    KeyList() is components::key_map::KeyList, shows "",
    in key_list as KEYS, key_list, load_key_list
}
cut! {
    /// The keys of the player.
    PlayerBar() is components::transport::Bar, shows "",
    in player as PLAYER, player_bar, load_player_bar
}

/// Takes files in that were brought to the page.
#[cfg(feature = "hydrate")]
#[allow(clippy::unnecessary_wraps, reason = "its program may not arrive")]
#[wasm_split(recordings, wasm_split_path = leptos::wasm_split, fallible)]
pub fn take_in(dropped: Dropped, files: Vec<Brought>) -> Result<(), SplitLoaderError> {
    dropped.take_in_now(files);
    Ok(())
}

/// [`KeyList`], asleep until it is opened.
pub fn key_list_when(open: Signal<bool>) -> AnyView {
    asleep::asleep(&KEYS, "dialog__body", open, || {
        view! { <KeyList /> }.into_any()
    })
}

/// [`SimpleFields`], asleep while the mode is Custom.
pub fn simple_when(simple: Signal<bool>) -> AnyView {
    asleep::asleep(&SIMPLE, "composer__simple", simple, || {
        view! { <SimpleFields /> }.into_any()
    })
}

/// [`Unseen`], asleep while the mode is Custom.
pub fn unseen_when(simple: Signal<bool>) -> AnyView {
    asleep::asleep(&UNSEEN, "composer__simple", simple, || {
        view! { <Unseen /> }.into_any()
    })
}

/// [`FoldFields`], asleep until the fold is opened.
pub fn fold_fields_when(open: Signal<bool>, of: Fields) -> AnyView {
    asleep::asleep(&FOLDS, "fold__body", open, move || {
        view! { <FoldFields of /> }.into_any()
    })
}

/// Loads what is inside folds, for someone who is about to open one; acts in the browser only.
pub fn prepare_folds() {
    #[cfg(feature = "hydrate")]
    leptos::task::spawn_local(async {
        // Opening it says what is missing.
        let _ = FOLDS.load().await;
    });
}

/// Those that a document may have; the others follow a press.
#[cfg(feature = "hydrate")]
static PARTS: [&Part; 9] = [
    &LIBRARY,
    &COMPARE,
    &SERVICE_PAGE,
    &SERVICE_PANEL,
    &RUNS,
    &SOURCE,
    &SIMPLE,
    &UNSEEN,
    &FOLDS,
];

/// Loads the programs of all parts that the server drew, without which the page could not come alive as it stands.
#[cfg(feature = "hydrate")]
pub async fn load_drawn() -> Result<(), SplitLoaderError> {
    for part in PARTS {
        if document()
            .query_selector(part.selector)
            .is_ok_and(|found| found.is_some())
        {
            part.load().await?;
        }
    }
    Ok(())
}

impl Part {
    async fn load(&self) -> Result<(), SplitLoaderError> {
        (self.load)().await?;
        self.there.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn later<D, F>(part: &'static Part, draw: D) -> AnyView
where
    D: Fn() -> F + Send + 'static,
    F: Future<Output = Drawn> + 'static,
{
    if part.there.load(Ordering::Relaxed) {
        return now(draw());
    }
    let came = RwSignal::new(None);
    leptos::task::spawn_local(async move {
        let there = part.load().await.is_ok();
        // The visitor may have left meanwhile.
        came.try_set(Some(there));
    });
    live(move || match came.get() {
        None => ().into_any(),
        Some(true) => now(draw()),
        Some(false) => view! { <Missing /> }.into_any(),
    })
}

/// Draws a part whose program is there.
fn now(drawn: impl Future<Output = Drawn>) -> AnyView {
    match pin!(drawn).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(view)) => view,
        _ => view! { <Missing /> }.into_any(),
    }
}

/// In place of a part that did not come: the studio is gone, or is another build since.
#[component]
fn Missing() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <div class="empty" role="alert">
            <p class="empty__text">{t!(i18n, common.part_missing)}</p>
            <div class="empty__actions">
                // Empty is this address, and `rel` makes it a visit of its own.
                <a class="button" rel="external" href="">
                    {t!(i18n, generate.try_again)}
                </a>
            </div>
        </div>
    }
}
