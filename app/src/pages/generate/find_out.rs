//! The fold Output: what is to be found out about every take once it is safe.

use acestep_domain::{job::JobKind, number::decimal, param::spec_of};
use leptos::prelude::*;

use super::{
    numbers::{error_for, notes_for},
    take::find_out::off_because,
    words::Words,
};
use crate::{
    components::{
        field::{Field, OffField},
        note::Notes,
        slider::{Range, Slider},
        switch::Switch,
    },
    i18n::use_i18n,
    live::Show,
    state::{StudioStore, form::Form},
    word,
};

/// Time the lyrics, Score each take, Score sensitivity.
#[component]
pub fn FindOutFields() -> impl IntoView {
    let i18n = use_i18n();
    let score = Form::expect().switch("auto_score");
    view! {
        <Wish
            kind=JobKind::LyricsTiming
            id="auto_lrc"
            label=word!(i18n, params.auto_lrc.label)
            help=word!(i18n, params.auto_lrc.help)
        />
        <Wish
            kind=JobKind::Score
            id="auto_score"
            label=word!(i18n, params.auto_score.label)
            help=word!(i18n, params.auto_score.help)
        />
        <Show when=move || score.get()>
            <Sensitivity />
        </Show>
    }
    .into_any()
}

/// Whether the switch `key` can be moved with what is loaded; true for those that are not of this fold.
pub fn is_drawn(i18n: Words, store: StudioStore, key: &str) -> bool {
    let kind = match key {
        "auto_lrc" => JobKind::LyricsTiming,
        "auto_score" => JobKind::Score,
        _ => return true,
    };
    off_because(i18n, store, kind, true).is_none()
}

#[component]
fn Wish(
    kind: JobKind,
    id: &'static str,
    label: Signal<String>,
    help: Signal<String>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let value = Form::expect().switch(id);
    // Whether anybody sings is not known before.
    let off = Memo::new(move |_| off_because(i18n, store, kind, true));
    let reason = Signal::derive(move || off.get().unwrap_or_default());
    view! {
        <Show
            when=move || off.with(Option::is_none)
            fallback=move || view! { <OffField label reason /> }
        >
            <div class="field">
                <Switch id value label with_state=true />
                <Notes notes=notes_for(id) />
                <p class="field__help">{move || help.get()}</p>
            </div>
        </Show>
    }
    .into_any()
}

#[component]
fn Sensitivity() -> impl IntoView {
    const KEY: &str = "score_scale";
    let i18n = use_i18n();
    let text = Form::expect().text(KEY);
    let (min, max) = spec_of(KEY)
        .and_then(|spec| spec.range)
        .unwrap_or((0.01, 1.0));
    let value = Signal::derive(move || decimal(text.get().trim()).unwrap_or(0.5));
    view! {
        <Field
            id=KEY
            label=word!(i18n, params.score_scale.label)
            help=word!(i18n, params.score_scale.help)
            notes=notes_for(KEY)
            error=error_for(KEY)
            aside=Signal::derive(move || format!("{:.2}", value.get()))
        >
            <Slider
                id=KEY
                name=KEY
                range=Range { min, max, step: 0.01 }
                value
                on_move=move |moved: f64| text.set(format!("{moved:.2}"))
            />
        </Field>
    }
    .into_any()
}
