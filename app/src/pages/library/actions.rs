//! What can be done with a song: rename, mark, download, restore its settings, delete. Each is a form of
//! its own, so all of them work without a script.

use acestep_domain::{generation::AudioFormat, library::Song};
use leptos::prelude::*;

use super::{Edits, Problem, language_model::ListenMenu, place::Place};
use crate::{
    address::Address,
    api::{
        ApiError,
        call::{Call, CallForm},
        songs::{DeleteSong, UpdateSong},
    },
    components::{dialog::Dialog, icon::Icon, menu::Menu},
    i18n::{t, t_string, use_i18n},
    pages::generate::take::{
        actions::{CompareItem, FileItems},
        begin::BeginItems,
        recreate::RecreateItem,
    },
    player::audio_url,
    state::song_action::SongAction,
};

const DELETE_DIALOG: &str = "delete-song";

/// The tools at the head of a song.
#[component]
pub fn SongTools(place: Memo<Place>, song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let update = Call::<UpdateSong>::new();
    let edits = Edits::expect();
    Effect::new(move |_| {
        if update.version().get() > 0 {
            edits.note();
        }
    });
    let failed = move || {
        update.value().with(|value| match value {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        })
    };
    view! {
        <div class="song__head-tools">
            <Rename update song=song.clone() />
            <Favourite update song=song.clone() />
            <Downloads song=song.clone() />
            <UseMenu song=song.clone() />
            <ListenMenu song=song.clone() />
            <button
                type="button"
                class="button button--small button--danger"
                popovertarget=DELETE_DIALOG
            >
                <Icon name="trash" />
                {t!(i18n, library.delete)}
            </button>
        </div>
        <Delete place song />
        {move || failed().map(|error: ApiError| view! { <Problem error /> })}
    }
    .into_any()
}

#[component]
fn Rename(update: Call<UpdateSong>, song: Song) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Menu
            label=Signal::derive(move || t_string!(i18n, library.rename).to_owned())
            icon="pen"
            button_class="button button--quiet button--small"
        >
            <CallForm call=update attr:class="menu__form">
                <input type="hidden" name="id" value=song.id />
                <label class="field__label" for="song-rename">
                    {t!(i18n, library.rename_label)}
                </label>
                <input
                    class="field__input"
                    id="song-rename"
                    name="title"
                    dir="auto"
                    required=true
                    maxlength="200"
                    autocomplete="off"
                    value=song.title
                />
                <button class="button button--primary button--small">
                    {t!(i18n, library.rename_save)}
                </button>
            </CallForm>
        </Menu>
    }
    .into_any()
}

#[component]
fn Favourite(update: Call<UpdateSong>, song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let on = song.favourite;
    view! {
        <CallForm call=update>
            <input type="hidden" name="id" value=song.id />
            <input type="hidden" name="favourite" value=(!on).to_string() />
            <button class="button button--quiet button--small" aria-pressed=on.to_string()>
                <Icon name=if on { "star-on" } else { "star" } />
                {t!(i18n, library.favourite)}
            </button>
        </CallForm>
    }
}

/// What can be begun with the song on the Generate page; the song beside another, and without its gain.
#[component]
fn UseMenu(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Menu
            label=Signal::derive(move || t_string!(i18n, generate.use_take).to_owned())
            icon="remix"
            button_class="button button--small"
        >
            <BeginItems song=song.clone() actions=SongAction::ALL in_menu=true />
            <div class="menu__rule"></div>
            <RecreateItem song=song.clone() />
            <div class="menu__rule"></div>
            <CompareItem id=song.id.clone() />
            <FileItems song />
        </Menu>
    }
    .into_any()
}

/// The file, and its parameters as JSON.
#[component]
fn Downloads(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let parameters = serde_json::to_string_pretty(&song.params).unwrap_or_default();
    let extension =
        AudioFormat::from_name(&song.audio_format).map_or("audio", AudioFormat::extension);
    view! {
        <a
            class="button button--small"
            href=audio_url(&song.id)
            download=file_name(&song.title, extension)
            rel="external"
        >
            <Icon name="download" />
            {t!(i18n, library.download)}
        </a>
        <a
            class="button button--quiet button--small"
            href=data_url(&parameters)
            download=file_name(&song.title, "json")
            rel="external"
        >
            <Icon name="file" />
            {t!(i18n, library.download_json)}
        </a>
    }
}

/// The parameters as a file the browser saves; they are on the page already, so no second request.
fn data_url(json: &str) -> String {
    let mut url = String::from("data:application/json;charset=utf-8,");
    for byte in json.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// A file name any system takes.
fn file_name(title: &str, extension: &str) -> String {
    let name: String = title
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .take(80)
        .collect();
    let name = name.trim();
    format!(
        "{}.{extension}",
        if name.is_empty() { "song" } else { name }
    )
}

#[component]
fn Delete(place: Memo<Place>, song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let delete = Call::<DeleteSong>::new();
    let edits = Edits::expect();
    let address = Address::expect();
    Effect::new(move |_| {
        let gone = delete.value().with(|value| matches!(value, Some(Ok(()))));
        if gone {
            edits.note();
            address.replace(&place.with_untracked(Place::back));
        }
    });
    let failed = move || {
        delete.value().with(|value| match value {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        })
    };
    view! {
        <Dialog
            id=DELETE_DIALOG
            title=Signal::derive(move || t_string!(i18n, library.delete_title).to_owned())
        >
            <p>
                <strong>
                    <bdi>{song.title}</bdi>
                </strong>
            </p>
            <p>{t!(i18n, library.delete_text)}</p>
            {move || failed().map(|error: ApiError| view! { <Problem error /> })}
            <CallForm call=delete attr:class="notice__actions">
                <input type="hidden" name="id" value=song.id />
                <button class="button button--danger">
                    <Icon name="trash" />
                    {t!(i18n, library.delete_do)}
                </button>
                <button
                    type="button"
                    class="button"
                    popovertarget=DELETE_DIALOG
                    popovertargetaction="hide"
                >
                    {t!(i18n, library.delete_keep)}
                </button>
            </CallForm>
        </Dialog>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_keep_letters_of_every_language() {
        assert_eq!(file_name("שיר לילה", "json"), "שיר לילה.json");
        assert_eq!(file_name("a/b: c?", "json"), "a_b_ c_.json");
        assert_eq!(file_name("  ", "json"), "song.json");
    }

    #[test]
    fn a_data_url_carries_any_text() {
        assert_eq!(
            data_url("{\"a\": \"é\"}"),
            "data:application/json;charset=utf-8,%7B%22a%22%3A%20%22%C3%A9%22%7D"
        );
    }
}
