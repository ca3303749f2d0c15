//! What was set in Custom and acts in Simple too: each by its name, with a way to its control, and one
//! button that brings all of them back. And what was set there and does not act here.

use acestep_domain::audio_codes;
use leptos::prelude::*;

use super::{find_out, param_words, words::Words};
use crate::{
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    live::{For, Show, live},
    state::{
        StudioStore,
        fields::{CUSTOM, SWITCHES},
        form::Form,
        idle::idle,
        unseen::{Unseen, field_of, value_text},
    },
    word,
};

/// The list; nothing where all that acts can be seen.
#[component]
pub fn UnseenSettings() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let settings = Memo::new(move |_| {
        let off = SWITCHES
            .into_iter()
            .filter(|key| !find_out::is_drawn(i18n, store, key))
            .collect();
        form.unseen(store, off)
    });
    let keys =
        move || settings.with_untracked(|all| all.iter().map(|own| own.key).collect::<Vec<_>>());
    let idle = Memo::new(move |_| idle(&form.json(), &store.defaults.get()));
    view! {
        <Settings
            id="unseen-title"
            title=word!(i18n, generate.unseen.title)
            settings
        >
            <div class="unseen__tools needs-script">
                <button
                    type="button"
                    class="button button--quiet button--small"
                    on:click=move |_| {
                        if let Some(key) = keys().first() {
                            show(form, key);
                        }
                    }
                >
                    <Icon name="pen" />
                    {t!(i18n, generate.unseen.show)}
                </button>
                <button
                    type="button"
                    class="button button--quiet button--small"
                    on:click=move |_| {
                        form.reset(store, &keys());
                        focus("description");
                    }
                >
                    <Icon name="refresh" />
                    {t!(i18n, generate.unseen.reset)}
                </button>
            </div>
        </Settings>
        <Settings id="idle-title" title=word!(i18n, generate.unseen.idle) settings=idle />
    }
    .into_any()
}

/// Some settings under a title; nothing where there are none.
#[component]
fn Settings(
    /// Id of the title.
    id: &'static str,
    /// The title.
    title: Signal<String>,
    /// The settings.
    settings: Memo<Vec<Unseen>>,
    /// What can be done with all of them.
    #[prop(optional)]
    children: Option<ChildrenFn>,
) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let some = Memo::new(move |_| settings.with(|all| !all.is_empty()));
    let in_one_line = move || {
        settings.with(|all| {
            all.iter()
                .map(|own| words_of(i18n, own))
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
                .join("; ")
        })
    };
    view! {
        <Show when=move || some.get()>
            <section class="unseen" aria-labelledby=id>
                <h2 class="unseen__title" id=id>
                    {move || title.get()}
                </h2>
                <p class="needs-no-script">{live(in_one_line)}</p>
                <ul class="unseen__list needs-script">
                    <For each=move || settings.get() key=|own| (own.key, own.value.to_string(), own.wrong) let:own>
                        <li class="unseen__one">
                            <Setting own form />
                        </li>
                    </For>
                </ul>
                {children.as_ref().map(|children| children())}
            </section>
        </Show>
    }
    .into_any()
}

/// Name and value; pressed, it leads to the control.
#[component]
fn Setting(own: Unseen, form: Form) -> impl IntoView {
    let i18n = use_i18n();
    let (key, wrong) = (own.key, own.wrong);
    let own = StoredValue::new(own);
    let words = move || own.with_value(|own| words_of(i18n, own));
    view! {
        <button
            type="button"
            class=if wrong { "chip unseen__wrong" } else { "chip" }
            title=move || t_string!(i18n, generate.unseen.go)
            on:click=move |_| show(form, key)
        >
            {wrong.then(|| view! { <Icon name="error" /> })}
            <span class="unseen__name">{move || words().0}</span>
            <bdi class="unseen__value">{move || words().1}</bdi>
        </button>
    }
    .into_any()
}

fn words_of(i18n: Words, own: &Unseen) -> (&'static str, String) {
    let name = match own.key {
        // A new song has no source: what it follows are codes.
        "audio_cover_strength" => t_string!(i18n, lm.codes_strength),
        key => param_words::name(i18n.get_locale(), key),
    };
    let shown = value_text(own);
    let value = match own.key {
        _ if own.wrong => t_string!(i18n, generate.unseen.wrong, text = shown),
        "reference_audio" => match own.value.as_array().map_or(0, Vec::len) {
            1 => t_string!(i18n, tasks.references.one).to_owned(),
            n => t_string!(i18n, tasks.references.other, n = n),
        },
        "audio_codes" => {
            let n = audio_codes::parse(&shown).map_or(0, |codes| codes.len());
            t_string!(i18n, lm.now.codes, n = n)
        }
        key => param_words::value(i18n.get_locale(), key, &own.value, &shown),
    };
    (name, value)
}

/// Goes to Custom, opens the fold of the control of `key`, and puts the focus there.
fn show(form: Form, key: &'static str) {
    form.text("mode").set(CUSTOM.to_owned());
    focus(field_of(key));
}

/// Puts the focus on the control of the field `key`, or on the head of its fold where it has none of its own.
fn focus(key: &'static str) {
    #[cfg(feature = "hydrate")]
    {
        use leptos::wasm_bindgen::JsCast as _;
        // The page is drawn anew first.
        request_animation_frame(move || {
            let find = |selector: &str| document().query_selector(selector).ok().flatten();
            let Some(control) = find(&format!(
                "#composer [name=\"{key}\"]:checked[type=\"radio\"]"
            ))
            .or_else(|| document().get_element_by_id(key))
            .or_else(|| find(&format!("#composer [name=\"{key}\"]"))) else {
                return;
            };
            let fold = control.closest("details.fold").ok().flatten();
            if let Some(fold) = &fold {
                // An open fold stays open.
                let _ = fold.set_attribute("open", "");
            }
            let hidden = control.get_attribute("type").as_deref() == Some("hidden");
            let place = if hidden {
                fold.and_then(|fold| fold.query_selector("summary").ok().flatten())
            } else {
                Some(control)
            };
            if let Some(place) =
                place.and_then(|place| place.dyn_into::<web_sys::HtmlElement>().ok())
            {
                place.scroll_into_view();
                // What cannot take it leaves it where it is.
                let _ = place.focus();
            }
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = key;
}
