//! Why the language model cannot be asked, and what gives it.

use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    address,
    api::{call::Call, service::StartSmallLm},
    components::{
        icon::Icon,
        note::{Reason, Refused},
    },
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::{StudioStore, lm::Lm},
};

/// The reason with its way out; empty while the language model can be asked. It stands in a form: without
/// scripts its button posts that.
#[component]
pub fn LmNeeded(
    /// Id that the disabled controls are described by.
    id: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let state = Memo::new(move |_| store.lm());
    let reason = move || match state.get() {
        Lm::Ready => None,
        Lm::Loading => Some(t_string!(i18n, lm.need.loading)),
        Lm::NotStarted => Some(t_string!(i18n, lm.need.not_started)),
        Lm::Fixed => Some(t_string!(i18n, lm.need.fixed)),
        Lm::Small | Lm::Off => Some(t_string!(i18n, lm.need.off)),
    };
    view! {
        <div class="lm-needed" id=id>
            {move || {
                reason()
                    .map(|reason| {
                        view! { <Reason locked=true text=reason.to_owned() /> }
                    })
            }}
            <WayOut state />
        </div>
    }
    .into_any()
}

/// The small model at once, or the panel.
#[component]
fn WayOut(state: Memo<Lm>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let start = Call::<StartSmallLm>::new();
    Effect::new(move |_| {
        if start.version().get() > 0 {
            store.refresh();
        }
    });
    let press = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        start.dispatch(StartSmallLm {});
    };
    let refused = move || {
        start.value().with(|value| match value {
            Some(Err(error)) => Some(error.0.to_string()),
            _ => None,
        })
    };
    view! {
        <Show when=move || state.get() == Lm::Small>
            <button
                class="button button--small"
                type="submit"
                formaction=StartSmallLm::url()
                formnovalidate=true
                disabled=move || start.pending().get()
                on:click=press
            >
                <Icon name="power" />
                {t!(i18n, lm.start_small)}
            </button>
        </Show>
        <Show when=move || matches!(state.get(), Lm::Off | Lm::NotStarted)>
            <a class="button button--quiet button--small" href=address::SERVICE>
                {t!(i18n, lm.open_panel)}
            </a>
        </Show>
        {move || {
            refused()
                .map(|text| {
                    view! {
                        <Refused text alert=true />
                    }
                })
        }}
    }
    .into_any()
}
