//! A group that folds, its present values in the head.

use acestep_domain::{Note, param::spec_of};
use leptos::{html, prelude::*};

use super::{folds::Fields, param_words};
use crate::{
    components::icon::Icon,
    i18n::{t_string, use_i18n},
    live::live,
    parts::{fold_fields_when, prepare_folds},
    state::form::Form,
};

/// The group.
#[component]
pub fn Fold(
    /// Id of the group.
    id: &'static str,
    /// Printed name.
    #[prop(into)]
    name: Signal<String>,
    /// Present values in a few words.
    #[prop(into)]
    now: Signal<String>,
    /// Parameters that are set inside: what is wrong with one of them is seen from outside too.
    keys: &'static [&'static str],
    /// The fields, which come alive when the group is opened.
    fields: Fields,
) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let wrong = Memo::new(move |_| {
        form.checked.with(|checked| {
            let mut keys = keys.iter().copied();
            keys.find(|key| checked.error_for(key).is_some())
        })
    });
    let noted = Memo::new(move |_| {
        form.checked.with(|checked| {
            let about = |key: &&str| checked.notes_for(key).iter().any(asks_for_a_look);
            keys.iter().any(about)
        })
    });
    let now = move || match wrong.get().and_then(spec_of) {
        Some(spec) => {
            let name = param_words::name(i18n.get_locale(), spec.key);
            t_string!(i18n, generate.fix_first, name = name)
        }
        None => now.get(),
    };
    let mark = move || {
        if wrong.with(Option::is_some) {
            return Some(
                view! { <Icon name="error" class="fold__mark fold__mark--error" /> }.into_any(),
            );
        }
        noted.get().then(|| {
            view! {
                <Icon name="warn" class="fold__mark" />
                <span class="visually-hidden">{t_string!(i18n, generate.fold_look)}</span>
            }
            .into_any()
        })
    };
    let details = NodeRef::<html::Details>::new();
    let open = RwSignal::new(false);
    let look = move || open.set(details.get().is_some_and(|details| details.open()));
    // It may have been opened before the page came alive.
    Effect::new(move |_| look());
    view! {
        <details class="fold" id=id node_ref=details on:toggle=move |_| untrack(look)>
            <summary
                class="fold__head"
                on:pointerenter=|_| prepare_folds()
                on:focus=|_| prepare_folds()
            >
                <span class="fold__name">{move || name.get()}</span>
                {live(mark)}
                <span class="fold__now">{live(now)}</span>
                <Icon name="down" />
            </summary>
            {fold_fields_when(open.into(), fields)}
        </details>
    }
    .into_any()
}

/// A value is used otherwise than it stands.
fn asks_for_a_look(note: &Note) -> bool {
    note.code.ends_with("_clamped") || note.code.ends_with("_unread")
}
