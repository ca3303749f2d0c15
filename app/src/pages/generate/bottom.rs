//! The phone's parts: which half is shown, and the bar with job and main action.

use acestep_domain::{service::ServiceState, task::TaskType};
use leptos::prelude::*;

use super::{FORM, plan::when::blocked, words};
use crate::{
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    pages::service,
    state::{
        StudioStore,
        fields::{CUSTOM, SIMPLE},
        form::Form,
    },
    word,
};

/// How much of the form is seen, or the takes; the style sheet follows the radios. Without scripts there are
/// the form and the takes, and the form has its own Simple and Custom. So it is with tasks that have no Simple.
#[component]
pub fn ViewSwitch() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let takes = form.shows_takes;
    let mode = form.text("mode");
    let count = Memo::new(move |_| store.songs.with(Vec::len));
    let has_modes = Memo::new(move |_| form.task() == TaskType::Text2music);
    let is_on = move |own: &str| !takes.get() && mode.with(|mode| mode == own);
    let mode_option = move |own: &'static str, words: Signal<String>| {
        let pick = move || {
            mode.set(own.to_owned());
            takes.set(false);
        };
        view! { <ViewOption id=own class="needs-script" words on=Signal::derive(move || is_on(own)) pick /> }
    };
    view! {
        <div class="view-switch">
            <fieldset class="segmented">
                <legend class="visually-hidden">{t!(i18n, generate.show)}</legend>
                <Show
                    when=move || has_modes.get()
                    fallback=move || {
                        view! {
                            <ViewOption
                                id="compose"
                                words=word!(i18n, generate.view_song)
                                on=Signal::derive(move || !takes.get())
                                pick=move || takes.set(false)
                            />
                        }
                    }
                >
                    <ViewOption
                        id="compose"
                        class="needs-no-script"
                        words=word!(i18n, generate.view_song)
                        on=Signal::stored(false)
                        pick=move || takes.set(false)
                    />
                    {mode_option(SIMPLE, word!(i18n, lm.mode.simple))}
                    {mode_option(CUSTOM, word!(i18n, lm.mode.custom))}
                </Show>
                <ViewOption
                    id="takes"
                    words=Signal::derive(move || {
                        t_string!(i18n, generate.view_takes, n = count.get())
                    })
                    on=takes
                    pick=move || takes.set(true)
                />
            </fieldset>
        </div>
    }
    .into_any()
}

/// One of them.
#[component]
fn ViewOption(
    /// Value of the radio, which has the id `view-<id>`.
    id: &'static str,
    /// More classes.
    #[prop(optional)]
    class: &'static str,
    /// Its name.
    words: Signal<String>,
    /// It is chosen.
    #[prop(into)]
    on: Signal<bool>,
    /// Chooses it.
    #[prop(into)]
    pick: Callback<()>,
) -> impl IntoView {
    view! {
        <label class=format!("segmented__option {class}")>
            <input
                class="segmented__input"
                type="radio"
                name="view"
                id=format!("view-{id}")
                value=id
                checked=on.get_untracked()
                prop:checked=move || on.get()
                on:change=move |_| pick.run(())
            />
            <span class="segmented__text">{move || words.get()}</span>
        </label>
    }
    .into_any()
}

/// What runs, and Generate.
#[component]
pub fn BottomBar() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let fraction = Memo::new(move |_| words::fraction(store));
    let blocked = blocked();
    // While the panel is open, its main action is the page's.
    let starts = Memo::new(move |_| {
        store.status.with(|status| {
            let idle = status.state != ServiceState::Loading;
            idle && status.model.is_none() && status.shows_panel()
        })
    });
    view! {
        <section class="bottom-bar" aria-label=move || t_string!(i18n, generate.now)>
            <div class="bottom-bar__job">
                <strong>{live(words::job_line(i18n, store))}</strong>
                <span class="bottom-bar__why" id="bar-why">
                    {move || blocked.get().filter(|_| !starts.get()).map(|blocked| blocked.why)}
                </span>
                {move || {
                    fraction
                        .get()
                        .map(|fraction| {
                            view! {
                                <span
                                    class="stage__bar"
                                    style=format!("--_done: {:.1}%", fraction * 100.0)
                                    role="progressbar"
                                    aria-label=t_string!(i18n, generate.now)
                                    aria-valuenow=format!("{:.0}", fraction * 100.0)
                                ></span>
                            }
                        })
                }}
            </div>
            <Show
                when=move || starts.get()
                fallback=move || {
                    view! {
                        <button
                            class="button button--primary button--large"
                            type="submit"
                            form=FORM
                            aria-describedby="bar-why"
                            disabled=move || blocked.with(Option::is_some)
                        >
                            {move || {
                                if form.is_simple() {
                                    t_string!(i18n, lm.write_and_generate)
                                } else {
                                    t_string!(i18n, common.generate)
                                }
                            }}
                        </button>
                    }
                }
            >
                <button class="button button--primary button--large" form=service::FORM>
                    {t!(i18n, service.initialize)}
                </button>
            </Show>
        </section>
    }
    .into_any()
}
