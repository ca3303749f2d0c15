//! The text of the language model while it writes, as it comes.

use acestep_domain::event::{Progress, Writing};
use leptos::prelude::*;

use super::words;
use crate::i18n::{t_string, use_i18n};
use crate::live::{Show, live};

/// What it writes, how fast, and the text so far. Not spoken letter by letter; its end is kept in view by
/// the style sheet.
#[component]
pub fn WritingNow(
    /// Progress of the job.
    progress: Memo<Option<Progress>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let writing =
        Memo::new(move |_| progress.with(|now| now.as_ref().and_then(|now| now.writing.clone())));
    let text = Memo::new(move |_| {
        writing.with(|now| now.as_ref().map(|now| now.text.clone()).unwrap_or_default())
    });
    let on = Memo::new(move |_| writing.with(Option::is_some));
    let what = move || {
        writing.with(|now| {
            let field = now.as_ref().map_or("", |now| now.field.as_str());
            t_string!(i18n, lm.writing, what = words::part(i18n, field))
        })
    };
    let speed = move || writing.with(|now| now.as_ref().map(|now| speed(i18n, now)));
    view! {
        <Show when=move || on.get()>
            <div class="writing">
                <p class="writing__head">
                    <span class="writing__what">{live(what)}</span>
                    <span class="writing__speed">{live(speed)}</span>
                </p>
                <Show when=move || !text.with(String::is_empty)>
                    <div
                        class="writing__text"
                        role="log"
                        aria-live="off"
                        aria-label=move || t_string!(i18n, lm.stream)
                        tabindex="0"
                    >
                        <p class="writing__words" dir="auto">
                            {move || text.get()}
                        </p>
                    </div>
                </Show>
            </div>
        </Show>
    }
    .into_any()
}

fn speed(i18n: words::Words, now: &Writing) -> String {
    let rate = format!("{:.0}", now.tokens_per_sec);
    t_string!(i18n, lm.speed, n = now.tokens, rate = rate)
}

/// Figures of the stage: codes of all codes, else tokens.
pub fn detail(i18n: words::Words, now: &Progress) -> String {
    match &now.writing {
        Some(writing) if writing.field == "codes" && now.total > 1 => t_string!(
            i18n,
            lm.speed_codes,
            n = now.done,
            all = now.total,
            rate = format!("{:.0}", writing.tokens_per_sec)
        ),
        Some(writing) => speed(i18n, writing),
        None => String::new(),
    }
}
