//! Lyrics with their times: the line that is sung is marked, and a press on a line goes there.

use acestep_domain::{library::Song, timed_lyrics::LyricLine};
use leptos::{html, prelude::*};

use crate::{
    i18n::{t_string, use_i18n},
    player::Player,
};

/// The line that is sung at `secs`: the last that has begun. None before the first.
fn line_at(lines: &[LyricLine], secs: f64) -> Option<usize> {
    lines
        .iter()
        .rposition(|line| line.start_secs <= secs + 0.01)
}

/// `m:ss.t`, as a line is looked up.
fn moment(secs: f64) -> String {
    let tenths = (secs.max(0.0) * 10.0).round() as u64;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

/// The lines of `song`. Those that are section tags are headings; they can be pressed all the same.
#[component]
pub fn TimedLyrics(
    /// The song.
    song: Song,
) -> impl IntoView {
    let player = Player::expect();
    let lines = StoredValue::new(song.lyric_lines.clone());
    let id = song.id.clone();
    let now = Memo::new(move |_| {
        if player.is_current(&id) {
            lines.with_value(|lines| line_at(lines, player.position.get()))
        } else {
            None
        }
    });
    let list = NodeRef::<html::Ol>::new();
    follow(list, now);
    let rows = song.lyric_lines.clone();
    let song = StoredValue::new(song);
    view! {
        <ol class="lrc" node_ref=list>
            {rows
                .into_iter()
                .enumerate()
                .map(|(index, line)| {
                    let current = Memo::new(move |_| now.get() == Some(index));
                    let start = line.start_secs;
                    view! {
                        <Line
                            line
                            current
                            on_press=move |()| {
                                song.with_value(|song| player.seek(song, start));
                            }
                        />
                    }
                })
                .collect_view()}
        </ol>
    }
    .into_any()
}

#[component]
fn Line(
    line: LyricLine,
    current: Memo<bool>,
    #[prop(into)] on_press: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let tag = line.text.starts_with('[') && line.text.ends_with(']');
    let time = moment(line.start_secs);
    let spoken = time.clone();
    let text = line.text.clone();
    view! {
        <li>
            <button
                type="button"
                class=if tag { "lrc__line lrc__line--section" } else { "lrc__line" }
                aria-current=move || current.get().then_some("true")
                aria-label=move || {
                    format!("{text}, {}", t_string!(i18n, heard.line_at, time = spoken.clone()))
                }
                on:click=move |_| on_press.run(())
            >
                <span class="lrc__time" dir="ltr">
                    {time}
                </span>
                <span dir="auto">{line.text}</span>
            </button>
        </li>
    }
}

/// Keeps the line that is sung in the middle of its list. The page itself never moves.
fn follow(list: NodeRef<html::Ol>, now: Memo<Option<usize>>) {
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| {
        use leptos::wasm_bindgen::JsCast as _;
        let (Some(list), Some(index)) = (list.get(), now.get()) else {
            return;
        };
        let line = list
            .children()
            .item(index as u32)
            .and_then(|line| line.dyn_into::<leptos::web_sys::HtmlElement>().ok());
        if let Some(line) = line {
            let middle = (list.client_height() - line.offset_height()) / 2;
            list.set_scroll_top(line.offset_top() - middle);
        }
    });
    #[cfg(not(feature = "hydrate"))]
    let _ = (list, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_sung_from_its_start_to_the_next() {
        let line = |start_secs: f64| LyricLine {
            start_secs,
            end_secs: start_secs + 0.5,
            text: "la".into(),
        };
        let lines = [line(1.0), line(2.5), line(9.0)];
        for (secs, index) in [
            (0.0, None),
            (1.0, Some(0)),
            (2.0, Some(0)),
            (2.495, Some(1)),
            (100.0, Some(2)),
        ] {
            assert_eq!(line_at(&lines, secs), index, "{secs}");
        }
        assert_eq!(line_at(&[], 3.0), None);
    }

    #[test]
    fn a_moment_has_tenths() {
        for (secs, text) in [
            (0.0, "0:00.0"),
            (9.96, "0:10.0"),
            (72.34, "1:12.3"),
            (-1.0, "0:00.0"),
        ] {
            assert_eq!(moment(secs), text);
        }
    }
}
