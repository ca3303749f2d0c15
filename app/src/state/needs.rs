//! What the form's run needs of memory and time, as the studio plans it: drawn with the page, then asked
//! for again when the form, what is loaded or a finished run may have changed it. The last answer stands
//! until the next one is there, so that nothing jumps while one types.

use leptos::prelude::*;

use super::form::Form;
use crate::api::needs::RunNeeds;

/// The plan. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// What the studio said last; none where nothing is loaded or the form cannot be read.
    pub plan: RwSignal<Option<RunNeeds>>,
}

impl Needs {
    /// Provides the plan that came with the page.
    pub fn provide() {
        let first = SharedValue::<Option<RunNeeds>, crate::wire::ByPlace>::new_with_encoding(first)
            .into_inner();
        provide_context(Self {
            plan: RwSignal::new(first),
        });
    }

    /// The plan of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// Keeps the plan true in the browser; the server draws once.
    pub fn follow(self, form: Form) {
        #[cfg(feature = "hydrate")]
        follow::follow(self, form);
        #[cfg(not(feature = "hydrate"))]
        let _ = form;
    }
}

#[cfg(feature = "ssr")]
fn first() -> Option<RunNeeds> {
    crate::api::needs::first()
}

#[cfg(not(feature = "ssr"))]
fn first() -> Option<RunNeeds> {
    None
}

#[cfg(feature = "hydrate")]
mod follow {
    use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};
    use std::time::Duration;

    use super::{Form, Needs};
    use crate::{
        api::{call::ask, needs::GetNeeds},
        state::StudioStore,
    };

    /// Quiet time before the studio is asked.
    const QUIET: Duration = Duration::from_millis(300);

    /// What an answer hangs on.
    type Asked = (String, Option<String>, Option<String>, usize, u32);

    pub(super) fn follow(kept: Needs, form: Form) {
        let store = StudioStore::expect();
        let newest = StoredValue::new(0_u32);
        Effect::new(move |before: Option<(Asked, Option<TimeoutHandle>)>| {
            let (main, lm) = store.status.with(|status| {
                let main = status.model.as_ref().map(|model| model.name.clone());
                (main, status.lm.as_ref().map(|lm| lm.name.clone()))
            });
            let songs = store.songs.with(Vec::len);
            // A studio that was away may have been another one meanwhile.
            let returned = store.returned.get();
            let asked = (form.json().to_string(), main, lm, songs, returned);
            let Some((then, timer)) = before else {
                // The page came with an answer, unless something was typed before it was alive.
                return (asked, None);
            };
            if then == asked {
                return (asked, timer);
            }
            if let Some(timer) = timer {
                timer.clear();
            }
            let fields = asked.0.clone();
            let timer = set_timeout_with_handle(
                move || {
                    newest.update_value(|number| *number += 1);
                    let own = newest.get_value();
                    spawn_local(async move {
                        // Nobody's answer says nothing against the last one.
                        let Ok(answer) = ask(GetNeeds { form: fields }).await else {
                            return;
                        };
                        // An answer that was overtaken is of a form that is no more.
                        if newest.get_value() == own {
                            super::super::set_if_changed(kept.plan, answer);
                        }
                    });
                },
                QUIET,
            );
            (asked, timer.ok())
        });
    }
}
