//! The key of the song: typed as musicians write it, or chosen.

use acestep_domain::metadata::{KeyScale, is_auto};
use leptos::prelude::*;

use super::numbers::{error_for, notes_for};
use crate::{
    components::{
        dialog::Dialog,
        field::{Field, TextInput},
        icon::Icon,
    },
    i18n::{t, use_i18n},
    state::form::Form,
    word,
};

/// Id of the window with the keys.
const DIALOG: &str = "key-dialog";

/// The field.
#[component]
pub fn KeyField() -> impl IntoView {
    let i18n = use_i18n();
    let value = Form::expect().text("keyscale");
    // "Am" stays as it was typed; what is understood by it stands beside the label.
    let understood = Signal::derive(move || {
        value.with(|text| {
            let name = key_of(text)?.to_string();
            (name != text.trim()).then_some(name)
        })
    });
    view! {
        <Field
            id="keyscale"
            label=word!(i18n, params.keyscale.label)
            aside=understood
            help=word!(i18n, params.keyscale.help)
            notes=notes_for("keyscale")
            error=error_for("keyscale")
        >
            <div class="field__row">
                <TextInput
                    id="keyscale"
                    value
                    placeholder=word!(i18n, generate.key_hint)
                    error=error_for("keyscale")
                />
                <button type="button" class="button needs-script" popovertarget=DIALOG>
                    <Icon name="list" />
                    {t!(i18n, generate.key_choose)}
                </button>
            </div>
        </Field>
        <Dialog id=DIALOG title=word!(i18n, generate.key_title)>
            <div class="key-menu" role="group" aria-labelledby="key-dialog-title">
                <Choice value name="" chosen=Signal::derive(move || value.with(|text| is_auto(text)))>
                    {t!(i18n, common.auto)}
                </Choice>
                {KeyScale::MENU
                    .map(|name| {
                        let own = key_of(name);
                        let chosen = Signal::derive(move || {
                            own.is_some() && value.with(|text| key_of(text)) == own
                        });
                        view! {
                            <Choice value name chosen>
                                <bdi dir="ltr">{name}</bdi>
                            </Choice>
                        }
                    })
                    .collect_view()}
            </div>
        </Dialog>
    }
    .into_any()
}

/// A key to choose; the window closes with it and gives the focus back.
#[component]
fn Choice(
    value: RwSignal<String>,
    name: &'static str,
    chosen: Signal<bool>,
    children: Children,
) -> impl IntoView {
    let class = if name.is_empty() {
        "key-menu__item key-menu__item--auto"
    } else {
        "key-menu__item"
    };
    view! {
        <button
            type="button"
            class=class
            popovertarget=DIALOG
            popovertargetaction="hide"
            aria-pressed=move || chosen.get().to_string()
            on:click=move |_| value.set(name.to_owned())
        >
            {children()}
        </button>
    }
    .into_any()
}

/// What is understood by a typed key; nothing for Auto, and for what is none.
pub fn key_of(text: &str) -> Option<KeyScale> {
    KeyScale::parse(text).ok()
}
