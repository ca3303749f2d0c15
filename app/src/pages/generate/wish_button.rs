//! A button that sends the form for something else than its songs.

use leptos::prelude::*;

use crate::{
    components::icon::Icon,
    state::{
        StudioStore,
        form::Form,
        request::{WISH, Wish},
    },
};

/// The button; off without a language model, and while what it was asked for last is awaited.
#[component]
pub fn WishButton(
    /// Its id, where somebody leads to it.
    #[prop(optional, into)]
    id: Option<&'static str>,
    /// What is sent.
    wish: Wish,
    /// Its classes.
    #[prop(default = "button button--quiet button--small")]
    class: &'static str,
    /// Its sign.
    icon: &'static str,
    /// Id of why it is off.
    why: &'static str,
    /// What it says.
    words: Signal<String>,
    /// It is off for another reason.
    #[prop(default = Signal::stored(false), into)]
    off: Signal<bool>,
) -> impl IntoView {
    let store = StudioStore::expect();
    let form = Form::expect();
    let ready = Memo::new(move |_| store.has_lm());
    let waits = Memo::new(move |_| form.awaited.with(Option::is_some));
    view! {
        <button
            id=id
            class=class
            type="submit"
            name=WISH
            value=wish.as_str()
            aria-describedby=why
            disabled=move || !ready.get() || waits.get() || off.get()
        >
            <Icon name=icon />
            {move || words.get()}
        </button>
    }
    .into_any()
}
