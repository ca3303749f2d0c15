//! The form: what to make, the numbers, the folds, and what will happen.

use leptos::{form::ActionForm, prelude::*};

use super::{FORM, folds::Folds, numbers::Numbers, plan::PlanBox, text};
use crate::{
    api::jobs::Submit,
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    state::form::{SHOWN_SWITCHES, SWITCHES},
};

/// The composer. Every control is a native element, so the form works before the program arrives.
#[component]
pub fn Composer(
    /// Queues a run.
    submit: ServerAction<Submit>,
) -> impl IntoView {
    let i18n = use_i18n();
    let explain = RwSignal::new(false);
    view! {
        <ActionForm
            action=submit
            attr:class="composer"
            attr:id=FORM
            attr:aria-label=move || t_string!(i18n, generate.song)
        >
            <input type="hidden" name=SHOWN_SWITCHES value=SWITCHES.join(",") />
            <div class="composer__head">
                <fieldset class="segmented segmented--plain">
                    <legend class="visually-hidden">{t!(i18n, params.task_type.label)}</legend>
                    <label class="segmented__option">
                        <input
                            class="segmented__input"
                            type="radio"
                            name="task_type"
                            value="text2music"
                            checked
                        />
                        <span class="segmented__text">{t!(i18n, generate.new_song)}</span>
                    </label>
                </fieldset>
                <button
                    type="button"
                    class="button button--quiet button--small needs-script"
                    aria-pressed=move || explain.get().to_string()
                    on:click=move |_| explain.update(|on| *on = !*on)
                >
                    <Icon name="help" />
                    {t!(i18n, generate.explain)}
                </button>
            </div>
            <div
                class="composer__body"
                data-explain=move || if explain.get() { "on" } else { "off" }
            >
                <text::Caption />
                <text::Lyrics />
                <Numbers />
                <Folds />
            </div>
            <PlanBox pending=submit.pending() />
        </ActionForm>
    }
    .into_any()
}
