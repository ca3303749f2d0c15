//! The phone's parts: which half is shown, and the bar with job and main action.

use acestep_domain::service::ServiceState;
use leptos::prelude::*;

use super::{FORM, plan::when::blocked, words};
use crate::{
    i18n::{t, t_string, use_i18n},
    pages::service,
    state::{StudioStore, form::Form},
};

/// Song or takes; the style sheet follows the radios, with or without scripts.
#[component]
pub fn ViewSwitch() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let count = Memo::new(move |_| store.songs.with(Vec::len));
    view! {
        <div class="view-switch">
            <fieldset class="segmented">
                <legend class="visually-hidden">{t!(i18n, generate.show)}</legend>
                <label class="segmented__option">
                    <input
                        class="segmented__input"
                        type="radio"
                        name="view"
                        id="view-compose"
                        value="compose"
                        checked
                    />
                    <span class="segmented__text">{t!(i18n, generate.view_song)}</span>
                </label>
                <label class="segmented__option">
                    <input
                        class="segmented__input"
                        type="radio"
                        name="view"
                        id="view-takes"
                        value="takes"
                    />
                    <span class="segmented__text">
                        {move || t_string!(i18n, generate.view_takes, n = count.get())}
                    </span>
                </label>
            </fieldset>
        </div>
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
                <strong>{words::job_line(i18n, store)}</strong>
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
