//! Where the run will stand, or why it cannot start and what would help. The same words stand beside
//! Generate on a desk and in the phone's bar.

use acestep_domain::{param::spec_of, service::ServiceState};
use leptos::prelude::*;

use super::super::{numbers::KEYS as NUMBERS, param_words, words::Words};
use crate::{
    address,
    i18n::{t_string, use_i18n},
    live::live,
    state::{
        StudioStore,
        fields::TRACKS_KEY,
        form::Form,
        lm::Lm,
        loras::{Adapters, Obstacle},
        recordings::Recordings,
    },
};

/// Why the form's main action cannot start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// In words.
    pub why: String,
    /// What would help is on the Service page.
    pub at_service: bool,
}

/// What stands in the way of the form's main action; nothing when it can start.
pub fn blocked() -> Memo<Option<Blocked>> {
    let i18n = use_i18n();
    let (store, form, adapters) = (StudioStore::expect(), Form::expect(), Adapters::expect());
    let recordings = Recordings::expect();
    Memo::new(move |_| {
        let blocked = |why: String| {
            Some(Blocked {
                why,
                at_service: false,
            })
        };
        if !store.is_ready() {
            let loading = store
                .status
                .with(|status| status.state == ServiceState::Loading);
            if loading {
                return blocked(t_string!(i18n, generate.wait_loading).to_owned());
            }
            return Some(Blocked {
                why: t_string!(i18n, generate.start_first).to_owned(),
                at_service: true,
            });
        }
        let simple = form.is_simple();
        if simple && store.lm() != Lm::Ready {
            let text = match store.lm() {
                Lm::Loading => t_string!(i18n, generate.wait_loading),
                Lm::Fixed => t_string!(i18n, lm.need.fixed),
                _ => t_string!(i18n, lm.need.off),
            };
            return blocked(text.to_owned());
        }
        if let Some(text) = missing(i18n, form) {
            return blocked(text.to_owned());
        }
        let works_on_source = form
            .checked
            .with(|checked| checked.params.works_on_source());
        if works_on_source && form.text("src_audio").with(|id| recordings.is_gone(id)) {
            return blocked(t_string!(i18n, tasks.first.source).to_owned());
        }
        if form.codes_unread(store) {
            return blocked(t_string!(i18n, lm.codes_unread).to_owned());
        }
        match adapters.obstacle(&form.loras_used(store)) {
            Some(Obstacle::Missing(name)) => {
                return blocked(t_string!(i18n, loras.first_missing, name = name));
            }
            Some(Obstacle::Unfit(name)) => {
                return blocked(t_string!(i18n, loras.first_unfit, name = name));
            }
            None => {}
        }
        let broken = form.checked.with(|checked| !checked.errors.is_empty());
        if !broken {
            return None;
        }
        // The numbers stand in both modes.
        let seen = form
            .checked
            .with(|checked| NUMBERS.iter().any(|key| checked.error_for(key).is_some()));
        let first = form.checked.with(|checked| {
            let error = checked.errors.first()?;
            spec_of(error.field.as_deref()?).map(|spec| spec.key)
        });
        blocked(match first {
            _ if simple && !seen => t_string!(i18n, lm.fix_custom).to_owned(),
            Some(key) => {
                let name = param_words::name(i18n.get_locale(), key);
                t_string!(i18n, generate.fix_first, name = name)
            }
            None => t_string!(i18n, generate.fix_any).to_owned(),
        })
    })
}

/// What the task asks for and does not have.
fn missing(i18n: Words, form: Form) -> Option<&'static str> {
    form.checked.with(|checked| {
        let is_wrong = |key: &str| checked.error_for(key).is_some();
        let no_source = form.text("src_audio").with(String::is_empty);
        if is_wrong("task_type") {
            Some(t_string!(i18n, tasks.first.other_task))
        } else if no_source && is_wrong("src_audio") {
            Some(t_string!(i18n, tasks.first.source))
        } else if is_wrong("track_name") || is_wrong(TRACKS_KEY) {
            Some(t_string!(i18n, tasks.first.track))
        } else {
            None
        }
    })
}

/// The line beside Generate.
#[component]
pub fn When(blocked: Memo<Option<Blocked>>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let ahead = Memo::new(move |_| store.queue().len() + usize::from(store.running().is_some()));
    live(move || match blocked.get() {
        Some(Blocked {
            why,
            at_service: true,
        }) => view! { <a href=address::SERVICE>{why}</a> }.into_any(),
        Some(Blocked { why, .. }) => why.into_any(),
        None => match ahead.get() {
            0 => t_string!(i18n, generate.starts_now).to_owned().into_any(),
            n => t_string!(i18n, generate.joins_queue, n = n).into_any(),
        },
    })
}
