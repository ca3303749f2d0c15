//! What can be done with a song: mark, take its settings up, download, delete.

use acestep_domain::{generation::AudioFormat, library::Song};
use leptos::prelude::*;

use super::{
    begin::{BeginItems, show_composer},
    listen::ListenItems,
    recreate::RecreateItem,
};
use crate::{
    api::{
        call::{Call, CallForm},
        form::Restore,
        songs::{DeleteSong, UpdateSong},
    },
    components::{dialog::Dialog, figures, icon::Icon, menu::Opened},
    i18n::{t, t_string, use_i18n},
    pages::{compare::address, generate::runs::after},
    player::{Player, audio_url},
    state::{StudioStore, form::Form, song_action::SongAction},
    word,
};

/// Name a downloaded file gets.
pub fn file_name(song: &Song) -> String {
    let extension = AudioFormat::from_name(&song.audio_format)
        .map_or(song.audio_format.as_str(), |format| format.extension());
    let stem: String = song
        .title
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == ' ' || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("{} {}.{extension}", stem.trim(), song.seed)
}

/// Marks a song, or takes the mark away.
#[component]
pub fn Favourite(
    /// The song.
    song: Song,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let update = Call::<UpdateSong>::new();
    after(update, store);
    let id = song.id.clone();
    let on = Memo::new(move |_| {
        store.songs.with(|songs| {
            songs
                .iter()
                .find(|song| song.id == id)
                .is_some_and(|song| song.favourite)
        })
    });
    view! {
        <CallForm call=update>
            <input type="hidden" name="id" value=song.id />
            <input type="hidden" name="favourite" value=move || (!on.get()).to_string() />
            <button
                class="button button--quiet button--small"
                type="submit"
                aria-pressed=move || on.get().to_string()
            >
                <Icon name="star" />
                {t!(i18n, common.favourite)}
            </button>
        </CallForm>
    }
    .into_any()
}

/// Takes the song's settings up into the form.
#[component]
pub fn RestoreButton(
    /// The song.
    song: Song,
    /// Classes of the button.
    class: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let restore = Call::<Restore>::new();
    Effect::new(move |_| {
        if let Some(Ok(params)) = restore.value().get() {
            form.restore(&params);
            show_composer(form);
        }
    });
    view! {
        <CallForm call=restore>
            <input type="hidden" name="song_id" value=song.id />
            <button class=class type="submit">
                {t!(i18n, generate.restore)}
            </button>
        </CallForm>
    }
    .into_any()
}

/// What is not needed every time.
#[component]
pub fn More(
    /// The song.
    song: Song,
    /// Also what the whole card shows beside it.
    #[prop(optional)]
    whole: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let url = audio_url(&song.id);
    let (file, size) = (file_name(&song), figures::size(song.size_bytes));
    let popover = format!("delete-{}", song.id);
    let target = popover.clone();
    let name = song.title.clone();
    let opened = Opened::provide();
    view! {
        <details class="menu" on:toggle:target=move |event| opened.follow(&event.target())>
            <summary
                class="button button--quiet button--small"
                aria-label=move || t_string!(i18n, generate.more_for, title = name.clone())
            >
                <Icon name="more" />
                {t!(i18n, generate.more)}
            </summary>
            <div class="menu__panel">
                {whole
                    .then(|| {
                        view! {
                            <Favourite song=song.clone() />
                            <BeginItems
                                song=song.clone()
                                actions=SongAction::ON_A_TAKE
                                in_menu=true
                            />
                            <a class="menu__item" href=url.clone() download=file.clone()>
                                {t!(i18n, generate.download)}
                                <span class="menu__hint">{format!("{} {size}", song.audio_format.to_ascii_uppercase())}</span>
                            </a>
                        }
                    })}
                <BeginItems song=song.clone() actions=[SongAction::Extract] in_menu=true />
                <RestoreButton song=song.clone() class="menu__item" />
                <RecreateItem song=song.clone() />
                <CompareItem id=song.id.clone() />
                <div class="menu__rule"></div>
                <a
                    class="menu__item"
                    href=format!("/api/v1/songs/{}", song.id)
                    download=format!("{}.json", song.id)
                >
                    {t!(i18n, generate.parameters)}
                    <span class="menu__hint">"JSON"</span>
                </a>
                <FileItems song=song.clone() />
                <div class="menu__rule"></div>
                <ListenItems song=song.clone() />
                <div class="menu__rule"></div>
                <button type="button" class="menu__item" popovertarget=target>
                    {t!(i18n, generate.delete)}
                </button>
            </div>
        </details>
        <Delete song id=popover />
    }
    .into_any()
}

/// Hears the song beside another one.
#[component]
pub fn CompareItem(
    /// The song's id.
    id: String,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <a class="menu__item" href=address(&id, "")>
            {t!(i18n, compare.with)}
            <span class="menu__hint">"B"</span>
        </a>
    }
    .into_any()
}

/// The song in the other formats, and without the gain that was put on it.
#[component]
pub fn FileItems(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let own = AudioFormat::from_name(&song.audio_format);
    let others = AudioFormat::ALL
        .into_iter()
        // The finer wav files hold nothing that the song's own file does not.
        .filter(|format| {
            Some(*format) != own && !matches!(format, AudioFormat::Wav24 | AudioFormat::Wav32)
        })
        .map(|format| {
            let url = format!(
                "{}?format={}&download=1",
                audio_url(&song.id),
                format.as_str()
            );
            view! {
                <a class="menu__item" href=url download="" rel="external">
                    {t!(i18n, takes.download_as)}
                    <span class="menu__hint">{format.as_str().to_ascii_uppercase()}</span>
                </a>
            }
        })
        .collect_view();
    view! {
        {others}
        <a class="menu__item" href=format!("/api/v1/songs/{}/raw", song.id) download="" rel="external">
            {t!(i18n, takes.raw)}
            <span class="menu__hint">"WAV"</span>
        </a>
        <p class="menu__why">{t!(i18n, takes.raw_hint)}</p>
    }
    .into_any()
}

/// Asks once, since a deleted song is gone.
#[component]
fn Delete(song: Song, id: String) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let player = Player::expect();
    let delete = Call::<DeleteSong>::new();
    after(delete, store);
    let own = song.id.clone();
    Effect::new(move |_| {
        if matches!(delete.value().get(), Some(Ok(()))) && player.is_current(&own) {
            player.pause();
            player.song.set(None);
        }
    });
    let own_id = id.clone();
    view! {
        <Dialog id title=word!(i18n, generate.delete_title)>
            <p>
                <bdi>{song.title}</bdi>
            </p>
            <p>{t!(i18n, generate.delete_text)}</p>
            <CallForm call=delete attr:class="notice__actions">
                <input type="hidden" name="id" value=song.id />
                <button class="button button--danger" type="submit">
                    <Icon name="trash" />
                    {t!(i18n, generate.delete)}
                </button>
                <button
                    class="button"
                    type="button"
                    popovertarget=own_id
                    popovertargetaction="hide"
                >
                    {t!(i18n, generate.keep)}
                </button>
            </CallForm>
        </Dialog>
    }
    .into_any()
}
