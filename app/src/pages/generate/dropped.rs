//! Files dropped on the page, wherever: the settings inside go into the form; a recording without any is
//! offered as source or reference; what cannot be used is told by name. Of several files each is taken:
//! recordings are kept among the uploads. Places that take recordings come first.

use acestep_domain::{Note, UserError, task::TaskType};
use leptos::prelude::*;

use super::uploading::said_by_name;
use crate::{
    api::recordings::Recording,
    components::{
        icon::Icon,
        note::{Notes, Refused},
        notice::{Notice, Tone},
    },
    i18n::{t, t_string, use_i18n},
    live::{For, Show, live},
    parts,
    player::clock,
    state::{form::Form, recordings::Recordings},
    word,
};

/// Why a file could not be used.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    not(feature = "hydrate"),
    expect(dead_code, reason = "files are dropped in browsers only")
)]
enum Why {
    /// The studio's words.
    Studio(UserError),
    /// The settings of this file are in the form.
    SettingsOf(String),
}

/// What became of the last files. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Dropped {
    /// Files are held over the page.
    over: RwSignal<bool>,
    /// The file on its way.
    reading: RwSignal<Option<String>>,
    /// The file whose settings were put into the form last.
    settings_of: RwSignal<String>,
    /// The same, and what of them was left out.
    left_out: RwSignal<Option<(String, Vec<Note>)>>,
    /// A recording that came alone and is not kept yet.
    offered: RwSignal<Option<String>>,
    /// Recordings that were kept.
    kept: RwSignal<Vec<Recording>>,
    /// Files that could not be used.
    refused: RwSignal<Vec<(String, Why)>>,
    form: Form,
    recordings: Recordings,
}

impl Dropped {
    /// Provides it, and in the browser listens to the window.
    pub fn provide() -> Self {
        let dropped = Self {
            over: RwSignal::new(false),
            reading: RwSignal::new(None),
            settings_of: RwSignal::new(String::new()),
            left_out: RwSignal::new(None),
            offered: RwSignal::new(None),
            kept: RwSignal::new(Vec::new()),
            refused: RwSignal::new(Vec::new()),
            form: Form::expect(),
            recordings: Recordings::expect(),
        };
        provide_context(dropped);
        #[cfg(feature = "hydrate")]
        browser::listen(dropped);
        dropped
    }

    /// That of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// The file whose settings were put into the form last; tracks.
    pub fn settings_of(self) -> String {
        self.settings_of.get()
    }

    /// Looks at files one after the other and takes up what is in them.
    #[cfg(feature = "hydrate")]
    pub fn take_in(self, files: Vec<super::files::Brought>) {
        leptos::task::spawn_local(async move {
            if crate::parts::take_in(self, files).await.is_err() {
                // The loader has told why, and the part that tells of files says that it is missing.
                self.reading.set(None);
            }
        });
    }

    /// The same where its program is there.
    #[cfg(feature = "hydrate")]
    pub fn take_in_now(self, files: Vec<super::files::Brought>) {
        browser::take_in(self, files);
    }

    /// Makes a recording of the file that came alone and gives it to the form.
    fn use_as(self, take: fn(Form, &str)) {
        #[cfg(feature = "hydrate")]
        if let Some(file) = browser::last() {
            self.offered.set(None);
            self.reading.set(Some(file.name.clone()));
            leptos::task::spawn_local(async move {
                if let Some(recording) = browser::send(self, file).await {
                    take(self.form, &recording.id);
                }
                self.reading.set(None);
            });
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (take, self.recordings);
    }

    #[cfg(feature = "hydrate")]
    fn refuse(self, name: String, why: Why) {
        self.refused.update(|refused| refused.push((name, why)));
    }
}

/// The recording becomes the source; a new song has none, so it becomes a cover.
fn as_source(form: Form, id: &str) {
    if !untrack(|| form.task()).needs().source {
        form.text("task_type")
            .set(TaskType::Cover.as_str().to_owned());
    }
    form.text("src_audio").set(id.to_owned());
}

fn as_reference(form: Form, id: &str) {
    form.set_reference(id, true);
}

/// What became of them, at the head of the composer.
#[component]
pub fn DroppedNotice() -> impl IntoView {
    let dropped = Dropped::expect();
    let any = Memo::new(move |_| {
        dropped.reading.with(Option::is_some)
            || dropped.left_out.with(Option::is_some)
            || dropped.offered.with(Option::is_some)
            || dropped.kept.with(|kept| !kept.is_empty())
            || dropped.refused.with(|refused| !refused.is_empty())
    });
    view! {
        <div class="composer__dropped" role="status">
            <Show when=move || any.get()>
                <parts::DroppedFiles />
            </Show>
        </div>
    }
    .into_any()
}

/// What is to be said of them.
#[component]
pub fn DroppedFiles() -> impl IntoView {
    let i18n = use_i18n();
    let dropped = Dropped::expect();
    view! {
        {move || {
            dropped
                .reading
                .get()
                .map(|name| {
                    view! {
                        <p class="note note--info">
                            <Icon name="spin" class="icon--spin" />
                            <span dir="auto">{t_string!(i18n, takes.reading, name = name)}</span>
                        </p>
                    }
                })
        }}
        {move || dropped.left_out.get().map(|(name, notes)| view! { <LeftOut name notes /> })}
        {move || dropped.offered.get().map(|name| view! { <Offered name /> })}
        <Show when=move || dropped.kept.with(|kept| !kept.is_empty())>
            <Kept />
        </Show>
        <Show when=move || dropped.refused.with(|refused| !refused.is_empty())>
            <CouldNotUse />
        </Show>
    }
    .into_any()
}

/// What of a file's settings is not in the form.
#[component]
fn LeftOut(name: String, notes: Vec<Note>) -> impl IntoView {
    let i18n = use_i18n();
    let left_out = Dropped::expect().left_out;
    view! {
        <Notice
            title=Signal::derive(move || t_string!(i18n, takes.dropped, name = name.clone()))
            text=word!(i18n, takes.left_out)
            tone=Tone::Warn
        >
            <div class="composer__notes">
                <Notes notes />
            </div>
            <Close words=word!(i18n, lm.close) on_press=move || left_out.set(None) />
        </Notice>
    }
    .into_any()
}

/// A recording without settings, which came alone.
#[component]
fn Offered(name: String) -> impl IntoView {
    let i18n = use_i18n();
    let dropped = Dropped::expect();
    view! {
        <Notice
            title=Signal::derive(move || t_string!(i18n, takes.no_settings, name = name.clone()))
            text=word!(i18n, takes.offer)
        >
            <button
                type="button"
                class="button button--primary"
                on:click=move |_| dropped.use_as(as_source)
            >
                {t!(i18n, takes.as_source)}
            </button>
            <button type="button" class="button" on:click=move |_| dropped.use_as(as_reference)>
                {t!(i18n, takes.as_reference)}
            </button>
            <Close words=word!(i18n, takes.not_now) on_press=move || dropped.offered.set(None) />
        </Notice>
    }
    .into_any()
}

/// Recordings of several files, each to be used at once or later.
#[component]
fn Kept() -> impl IntoView {
    let i18n = use_i18n();
    let dropped = Dropped::expect();
    let form = dropped.form;
    let use_as = move |words: Signal<String>, name: String, id: String, take: fn(Form, &str)| {
        view! {
            <button
                type="button"
                class="button button--small"
                aria-label=move || format!("{}: {name}", words.get())
                on:click=move |_| take(form, &id)
            >
                {words}
            </button>
        }
    };
    view! {
        <Notice title=word!(i18n, takes.kept) text=word!(i18n, takes.offer)>
            <ul class="composer__kept">
                <For each=move || dropped.kept.get() key=|own| own.id.clone() let:own>
                    <li class="composer__kept-one">
                        <bdi class="composer__kept-name">{own.name.clone()}</bdi>
                        <span dir="ltr">{clock(own.duration_secs)}</span>
                        {use_as(
                            word!(i18n, takes.as_source),
                            own.name.clone(),
                            own.id.clone(),
                            as_source,
                        )}
                        {use_as(word!(i18n, takes.as_reference), own.name, own.id, as_reference)}
                    </li>
                </For>
            </ul>
            <Close
                words=word!(i18n, lm.close)
                on_press=move || dropped.kept.update(Vec::clear)
            />
        </Notice>
    }
    .into_any()
}

/// What could not be used, each file by its name.
#[component]
fn CouldNotUse() -> impl IntoView {
    let i18n = use_i18n();
    let refused = Dropped::expect().refused;
    let text = move |(name, why): &(String, Why)| match why {
        Why::Studio(error) => said_by_name(name, error),
        Why::SettingsOf(first) => {
            let (name, first) = (name.clone(), first.clone());
            t_string!(i18n, takes.settings_once, name = name, first = first)
        }
    };
    let title = move || {
        refused.with(|refused| match refused.as_slice() {
            [(name, _)] => t_string!(i18n, takes.drop_failed, name = name.clone()),
            _ => t_string!(i18n, takes.drop_failed_some).to_owned(),
        })
    };
    let alone = move || {
        refused.with(|refused| match refused.as_slice() {
            [one] => text(one),
            _ => String::new(),
        })
    };
    let lines = move || {
        refused.with(|refused| {
            let several = refused.len() > 1;
            refused
                .iter()
                .filter(|_| several)
                .map(|one| view! { <Refused text=text(one) /> })
                .collect_view()
        })
    };
    view! {
        <Notice title=Signal::derive(title) text=Signal::derive(alone) tone=Tone::Error>
            <div class="composer__notes">{live(lines)}</div>
            <Close words=word!(i18n, lm.close) on_press=move || refused.update(Vec::clear) />
        </Notice>
    }
    .into_any()
}

#[component]
fn Close(
    #[prop(into)] words: Signal<String>,
    on_press: impl Fn() + Send + 'static,
) -> impl IntoView {
    view! {
        <button type="button" class="button button--quiet" on:click=move |_| on_press()>
            {words}
        </button>
    }
    .into_any()
}

/// What a drop would do, while files are held over the page.
#[component]
pub fn DropHint() -> impl IntoView {
    let i18n = use_i18n();
    let dropped = Dropped::expect();
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

    use super::{Dropped, Why};
    use crate::{
        address::{Address, GENERATE},
        api::recordings::{Recording, settings_in, upload},
        pages::generate::{
            files::{self, Brought},
            take::begin::show_composer,
        },
        state::fill::FilledBy,
    };

    thread_local! {
        /// The recording that came alone, as long as it may be wanted.
        static LAST: RefCell<Option<Brought>> = const { RefCell::new(None) };
    }

    pub(super) fn last() -> Option<Brought> {
        LAST.take()
    }

    fn holds_files(event: &ev::DragEvent) -> bool {
        event
            .data_transfer()
            .is_some_and(|data| data.types().includes(&"Files".into(), 0))
    }

    pub(super) fn listen(dropped: Dropped) {
        let address = Address::expect();
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
            let brought = files::of(event.data_transfer().and_then(|data| data.files()));
            if !brought.is_empty() {
                dropped.take_in(brought);
                address.go(GENERATE);
            }
        });
        on_cleanup(move || {
            over.remove();
            left.remove();
            fell.remove();
        });
    }

    pub(super) fn take_in(dropped: Dropped, files: Vec<Brought>) {
        dropped.left_out.set(None);
        dropped.offered.set(None);
        dropped.kept.update(Vec::clear);
        dropped.refused.update(Vec::clear);
        let alone = files.len() == 1;
        spawn_local(async move {
            let mut settings_of = None;
            for file in files {
                dropped.reading.set(Some(file.name.clone()));
                let sound = file.is_sound();
                match settings_in(&file.name, &file.bytes).await {
                    Ok(found) => match &settings_of {
                        None => {
                            let fields = crate::state::fields::fields_to_restore(&found.params);
                            dropped.settings_of.set(file.name.clone());
                            dropped.form.fill(FilledBy::File, &fields);
                            show_composer(dropped.form);
                            let mut notes = found.notes;
                            notes.extend(dropped.form.bent());
                            if !notes.is_empty() {
                                dropped.left_out.set(Some((file.name.clone(), notes)));
                            }
                            settings_of = Some(file.name);
                        }
                        Some(_) if sound => keep(dropped, file).await,
                        Some(first) => {
                            dropped.refuse(file.name, Why::SettingsOf(first.clone()));
                        }
                    },
                    Err(error) if error.0.code == "no_settings" && sound => {
                        if alone {
                            dropped.offered.set(Some(file.name.clone()));
                            LAST.set(Some(file));
                        } else {
                            keep(dropped, file).await;
                        }
                    }
                    Err(error) => dropped.refuse(file.name, Why::Studio(error.0)),
                }
            }
            dropped.reading.set(None);
        });
    }

    /// Keeps a file among the uploads.
    async fn keep(dropped: Dropped, file: Brought) {
        if let Some(recording) = send(dropped, file).await {
            dropped.kept.update(|kept| kept.push(recording));
        }
    }

    /// Makes a recording of a file; one that is refused is told.
    pub(super) async fn send(dropped: Dropped, file: Brought) -> Option<Recording> {
        match upload(&file.name, &file.bytes).await {
            Ok(recording) => {
                dropped.recordings.add(recording.clone());
                Some(recording)
            }
            Err(error) => {
                dropped.refuse(file.name, Why::Studio(error.0));
                None
            }
        }
    }
}
