//! The list of keys, behind the Keys button and `?`.

use leptos::prelude::*;

use crate::{
    components::{dialog::Dialog, switch::Toggle},
    i18n::{t, t_string, use_i18n},
    keys::SingleKeys,
    parts::key_list_when,
};

/// The dialog with all keys and the switch for the single-letter ones.
#[component]
pub fn KeyMap(
    /// Id of the dialog.
    id: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let open = RwSignal::new(false);
    view! {
        <Dialog id title=Signal::derive(move || t_string!(i18n, frame.keys).to_owned()) open>
            {key_list_when(open.into())}
        </Dialog>
    }
    .into_any()
}

/// What the keys do.
#[component]
pub fn KeyList() -> impl IntoView {
    let i18n = use_i18n();
    let single = expect_context::<SingleKeys>();
    view! {
        <dl class="key-map">
            <div>
                <dt>{t!(i18n, frame.key_generate)}</dt>
                <dd>
                    <kbd>"Ctrl"</kbd>" "<kbd>"Enter"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_cancel)}</dt>
                <dd>
                    <kbd>"Shift"</kbd>" "<kbd>"Esc"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_play)}</dt>
                <dd>
                    <kbd>"Space"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_take)}</dt>
                <dd>
                    <kbd>"J"</kbd>" "<kbd>"K"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_seek)}</dt>
                <dd dir="ltr">
                    <kbd>"←"</kbd>" "<kbd>"→"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_part)}</dt>
                <dd dir="ltr">
                    <kbd>"["</kbd>" "<kbd>"]"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, compare.key)}</dt>
                <dd>
                    <kbd>"B"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_favourite)}</dt>
                <dd>
                    <kbd>"F"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_field)}</dt>
                <dd>
                    <kbd>"G"</kbd>" "{t!(i18n, frame.key_then)}" "<kbd>"C"</kbd>" "
                    {t!(i18n, frame.key_or)}" "<kbd>"L"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_search)}</dt>
                <dd>
                    <kbd>"/"</kbd>
                </dd>
            </div>
            <div>
                <dt>{t!(i18n, frame.key_help)}</dt>
                <dd>
                    <kbd>"?"</kbd>
                </dd>
            </div>
        </dl>
        <Toggle on=single.on set=move |on| single.set(on)>
            {t!(i18n, frame.keys_single)}
        </Toggle>
        <p>{t!(i18n, frame.keys_note)}</p>
    }
    .into_any()
}
