//! The settings of a song: what was asked where it differs, and what was used.

pub mod lines;

use acestep_domain::{Note, generation::GenerationParams, library::Song};
use leptos::prelude::*;

use self::lines::{Line, lines};
use crate::{
    address::{Address, GENERATE},
    api::{
        call::{Call, CallForm},
        form::Restore,
    },
    components::{copy_button::CopyButton, icon::Icon, note::informs, note_words},
    i18n::{t, use_i18n},
    live::live,
    state::{StudioStore, form::Form},
};

/// Table, notes, all parameters, Restore.
#[component]
pub fn Settings(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let id = song.id.clone();
    let params = song.params.clone();
    let all = Signal::stored(serde_json::to_string_pretty(&song.params).unwrap_or_default());
    let stored = StoredValue::new(song);
    let table = move || {
        stored.with_value(|song| {
            let lines = lines(song, i18n.get_locale());
            let (rows, rest) = with_notes(lines, &song.notes);
            view! {
                {rows
                    .into_iter()
                    .map(|(line, notes)| view! { <Row line notes /> })
                    .collect_view()}
                {rest
                    .into_iter()
                    .map(|note| {
                        view! {
                            <tr>
                                <td colspan="2">
                                    <Remark note />
                                </td>
                            </tr>
                        }
                    })
                    .collect_view()}
            }
        })
    };
    view! {
        <section class="panel" aria-labelledby="settings-title">
            <header class="panel__head">
                <h3 class="panel__title" id="settings-title">
                    {t!(i18n, library.settings)}
                </h3>
                <div class="panel__tools">
                    <RestoreAll id params />
                </div>
            </header>
            <table class="params params--used">
                <thead>
                    <tr>
                        <th scope="col">{t!(i18n, library.setting)}</th>
                        <th scope="col">{t!(i18n, library.used)}</th>
                    </tr>
                </thead>
                <tbody>{live(table)}</tbody>
            </table>
            <details class="fold">
                <summary class="fold__head">
                    <span class="fold__name">{t!(i18n, library.all)}</span>
                    <Icon name="down" />
                </summary>
                <div class="fold__body">
                    <div class="fold__tools">
                        <CopyButton text=all />
                    </div>
                    <pre class="params__all fold__wide mono" dir="ltr" tabindex="0">
                        {all}
                    </pre>
                </div>
            </details>
        </section>
    }
    .into_any()
}

/// Puts the settings into the form of the Generation page and goes there.
#[component]
fn RestoreAll(id: String, params: GenerationParams) -> impl IntoView {
    let i18n = use_i18n();
    let restore = Call::<Restore>::new();
    let address = Address::expect();
    let form = Form::expect();
    let store = StudioStore::expect();
    let params = StoredValue::new(params);
    Effect::new(move |_| {
        if restore.value().with(|value| matches!(value, Some(Ok(_)))) {
            params.with_value(|params| form.restore(params));
            store.refresh();
            address.go(GENERATE);
        }
    });
    view! {
        <CallForm call=restore>
            <input type="hidden" name="song_id" value=id />
            <button class="button button--quiet button--small">
                <Icon name="refresh" />
                {t!(i18n, library.restore)}
            </button>
        </CallForm>
    }
}

#[component]
fn Row(line: Line, notes: Vec<Note>) -> impl IntoView {
    view! {
        <tr>
            <th scope="row">{line.name}</th>
            <td>
                <bdi>{line.used}</bdi>
                {notes.into_iter().map(|note| view! { <Remark note /> }).collect_view()}
            </td>
        </tr>
    }
}

/// What was asked and why something else was used.
#[component]
fn Remark(note: Note) -> impl IntoView {
    let i18n = use_i18n();
    let (class, icon) = if informs(&note) {
        ("params__note params__note--info", "info")
    } else {
        ("params__note", "warn")
    };
    view! {
        <span class=class>
            <Icon name=icon />
            <span>{move || note_words::words(i18n.get_locale(), &note)}</span>
        </span>
    }
}

/// Every line with the notes about it, and the notes about none.
fn with_notes(lines: Vec<Line>, notes: &[Note]) -> (Vec<(Line, Vec<Note>)>, Vec<Note>) {
    let about = |line: &Line, note: &Note| {
        note.field
            .as_deref()
            .is_some_and(|field| line.keys.contains(&field))
    };
    let rest = notes
        .iter()
        .filter(|note| !lines.iter().any(|line| about(line, note)))
        .cloned()
        .collect();
    let rows = lines
        .into_iter()
        .map(|line| {
            let own = notes
                .iter()
                .filter(|note| about(&line, note))
                .cloned()
                .collect();
            (line, own)
        })
        .collect();
    (rows, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_of_a_song_is_shown_once() {
        let lines = vec![
            Line {
                name: "Length",
                used: "4:00".into(),
                keys: &["duration"],
            },
            Line {
                name: "Seed",
                used: "7".into(),
                keys: &["seed"],
            },
        ];
        let notes = [
            Note::new("duration_clamped", "duration", "asked 5:30"),
            Note::new("batch_clamped", "batch_size", "asked 4"),
            Note::general("tiles", "small tiles"),
        ];
        let (rows, rest) = with_notes(lines, &notes);
        let counts: Vec<usize> = rows.iter().map(|(_, notes)| notes.len()).collect();
        assert_eq!((counts, rest.len()), (vec![1, 0], 2));
    }
}
