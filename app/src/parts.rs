//! Parts of the page whose program the browser loads when they are shown.
//!
//! The server draws them as any other. In the browser each is a file of its own (`cargo xtask build` cuts the
//! program at the functions marked here), so the Generation page does not wait for what other pages need.

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

use crate::{
    api::jobs::Cancel,
    i18n::{t, use_i18n},
    pages::{
        self,
        generate::{
            choose::{FindSongs, GetUploads},
            uploading::Uploading,
        },
    },
};

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
    RunList(cancel: ServerAction<Cancel>) is pages::generate::runs::RunList, shows ".runs[data-any]",
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

/// Those that a document may have; the others follow a press.
#[cfg(feature = "hydrate")]
static PARTS: [&Part; 6] = [
    &LIBRARY,
    &COMPARE,
    &SERVICE_PAGE,
    &SERVICE_PANEL,
    &RUNS,
    &SOURCE,
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
    (move || match came.get() {
        None => ().into_any(),
        Some(true) => now(draw()),
        Some(false) => view! { <Missing /> }.into_any(),
    })
    .into_any()
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
