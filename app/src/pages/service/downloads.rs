//! Released checkpoints that are not here: what a download brings, and how far one is.

use acestep_domain::{
    generation::clamp::minutes,
    release::{Download, DownloadState, Downloadable, Release, ReleaseKind, Verb},
    task::Family,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::models::size_text;
use crate::{
    api::{call::Call, downloads::ChangeDownload},
    components::icon::Icon,
    i18n::{Locale, t, t_string, td_string, use_i18n},
    live::{Show, live},
    state::StudioStore,
};

/// The main models that are not here, folded unless there is nothing else to choose.
#[component]
pub fn Released(
    /// Nothing but the built-in model is here.
    only_demo: Memo<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let releases = Memo::new(move |_| {
        store.status.with(|status| {
            let mut releases = status.downloadable.clone();
            releases.retain(|release| release.kind == ReleaseKind::Main);
            releases
        })
    });
    let free = Memo::new(move |_| {
        let free = store.status.with(|status| status.checkpoints_free_bytes)?;
        Some(size_text(free, i18n.get_locale()))
    });
    view! {
        <Show when=move || !releases.with(Vec::is_empty)>
            <details class="fold" id="released" open=only_demo.get_untracked()>
                <summary class="fold__head">
                    <span class="fold__name">{t!(i18n, service.released)}</span>
                    <span class="fold__now">
                        {move || {
                            let count = releases.with(Vec::len);
                            t_string!(i18n, service.released_count, count = count)
                        }}
                    </span>
                    <Icon name="down" />
                </summary>
                <div class="fold__body">
                    <ul class="model-list model-list--released">
                        {move || {
                            releases
                                .get()
                                .into_iter()
                                .map(|release| view! { <Row release /> })
                                .collect_view()
                        }}
                    </ul>
                    <p class="note note--info model-list--released">
                        <Icon name="folder" />
                        <span>
                            {t!(i18n, service.released_help)} " "
                            {move || free.get().map(|free| t_string!(i18n, service.released_free, free = free))}
                        </span>
                    </p>
                </div>
            </details>
        </Show>
    }
    .into_any()
}

#[component]
fn Row(release: Downloadable) -> impl IntoView {
    let i18n = use_i18n();
    let download = download_of(release.name.clone());
    let about = {
        let release = release.clone();
        move || {
            let locale = i18n.get_locale();
            download.with(|download| match download {
                Some(download) => now(download, locale),
                None => about(&release, locale).to_owned(),
            })
        }
    };
    view! {
        <li class="model-list__row">
            <Icon name=if release.damaged { "warn" } else { "folder" } />
            <span>
                <bdi class="model-list__name" dir="ltr">
                    {release.name.clone()}
                </bdi>
                <br />
                <bdi class="model-list__about">{about}</bdi>
            </span>
            <span class="model-list__side">
                <DownloadControl name=release.name bytes=release.bytes />
            </span>
        </li>
    }
    .into_any()
}

fn about(release: &Downloadable, locale: Locale) -> &'static str {
    if release.damaged {
        return td_string!(locale, service.download_mends);
    }
    let xl = release.name.contains("-xl-");
    match (xl, Release::find(&release.name).map(Release::family)) {
        (false, Some(Family::Base)) => td_string!(locale, service.about_base),
        (true, Some(Family::Base)) => td_string!(locale, service.about_xl_base),
        (true, _) => td_string!(locale, service.about_xl_turbo),
        (false, _) => td_string!(locale, service.about_turbo),
    }
}

/// What a download is doing, in a line.
pub fn now(download: &Download, locale: Locale) -> String {
    match (download.state, &download.error) {
        (DownloadState::Failed, Some(error)) => error.to_string(),
        (DownloadState::Paused, _) => td_string!(locale, service.download_paused).to_owned(),
        (DownloadState::Waiting, _) => td_string!(locale, service.download_waiting).to_owned(),
        _ => match (download.eta_secs, download.bytes_per_sec) {
            (Some(secs), Some(rate)) => {
                let time = minutes(secs.ceil());
                let rate = size_text(rate as u64, locale);
                td_string!(locale, service.download_left, time = time, rate = rate)
            }
            _ if download.total_bytes.is_some() => download.file.clone().unwrap_or_default(),
            _ => td_string!(locale, service.download_asking).to_owned(),
        },
    }
}

/// The download of a release, unless it is over.
pub fn download_of(name: String) -> Memo<Option<Download>> {
    let store = StudioStore::expect();
    Memo::new(move |_| {
        store.status.with(|status| {
            let mut downloads = status.downloads.iter();
            let under_way = |download: &&Download| {
                download.name == name && download.state != DownloadState::Done
            };
            downloads.find(under_way).cloned()
        })
    })
}

/// Size or progress, and what can be done: download, pause, resume, remove.
#[component]
pub fn DownloadControl(
    /// The release.
    name: String,
    /// About how much would come.
    bytes: u64,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let change = Call::<ChangeDownload>::new();
    Effect::new(move |_| {
        if change.version().get() > 0 {
            store.refresh();
        }
    });
    let download = download_of(name.clone());
    // Apart from the figures, so that a button that has the focus keeps it while they change.
    let state = Memo::new(move |_| download.with(|download| Some(download.as_ref()?.state)));
    let fraction = Memo::new(move |_| download.with(|download| download.as_ref()?.fraction()));
    let size = move || {
        let locale = i18n.get_locale();
        download.with(|download| match download {
            Some(download) => {
                let total = download.total_bytes.unwrap_or(bytes);
                let done = size_text(download.done_bytes, locale);
                let total = size_text(total, locale);
                td_string!(locale, service.download_done, done = done, total = total)
            }
            None => size_text(bytes, locale),
        })
    };
    let own = StoredValue::new(name);
    let button = move |verb: Verb, icon: &'static str| {
        let ask = own.with_value(|name| verb.of(name));
        let sent = ask.clone();
        let words = move || verb_words(verb, state.get(), i18n.get_locale());
        let label = move || own.with_value(|name| format!("{} {name}", words()));
        view! {
            <button
                class=if verb == Verb::Remove { "button button--quiet button--small" } else { "button button--small" }
                formaction=ChangeDownload::url()
                formmethod="post"
                formnovalidate=true
                name="ask"
                value=ask
                aria-label=label
                on:click=move |event| {
                    event.prevent_default();
                    change.dispatch(ChangeDownload { ask: sent.clone() });
                }
            >
                {(!icon.is_empty()).then(|| view! { <Icon name=icon /> })}
                {live(words)}
            </button>
        }
        .into_any()
    };
    let refused = move || {
        change.value().with(|value| match value {
            Some(Err(error)) => Some(error.0.to_string()),
            _ => None,
        })
    };
    view! {
        <Show when=move || fraction.get().is_some()>
            <span
                class="stage__bar model-list__bar"
                role="progressbar"
                aria-label=move || t_string!(i18n, service.download)
                aria-valuenow=move || percent(fraction.get()).to_string()
                style=move || format!("--_done: {}%", percent(fraction.get()))
            ></span>
        </Show>
        <bdi>{live(size)}</bdi>
        {move || match state.get() {
            None => button(Verb::Start, "download"),
            Some(DownloadState::Waiting | DownloadState::Running) => button(Verb::Pause, ""),
            Some(_) => {
                view! {
                    {button(Verb::Start, "")}
                    {button(Verb::Remove, "")}
                }
                    .into_any()
            }
        }}
        {move || refused().map(|text| view! { <span class="note note--error model-list__more">{text}</span> })}
    }
    .into_any()
}

fn verb_words(verb: Verb, state: Option<DownloadState>, locale: Locale) -> &'static str {
    match (verb, state) {
        (Verb::Start, None) => td_string!(locale, service.download),
        (Verb::Start, Some(DownloadState::Failed)) => td_string!(locale, service.try_again),
        (Verb::Start, _) => td_string!(locale, service.resume),
        (Verb::Pause, _) => td_string!(locale, service.pause),
        (Verb::Remove, _) => td_string!(locale, service.remove),
    }
}

fn percent(fraction: Option<f64>) -> u32 {
    (fraction.unwrap_or_default() * 100.0).floor() as u32
}
