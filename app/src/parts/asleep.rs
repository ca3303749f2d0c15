//! Regions that the server drew and the browser takes over when they are wanted.
//!
//! They work before that as everything does without scripts. Taken over they are drawn anew, with what was typed
//! meanwhile; a form wakes all of its own before it is sent, for what it sends is what stands in the document.

#[cfg(not(feature = "hydrate"))]
use leptos::html;
use leptos::prelude::*;

use super::Part;

/// The regions of a form.
#[derive(Debug, Clone, Copy)]
pub struct Sleepers {
    #[cfg(feature = "hydrate")]
    regions: StoredValue<Vec<waking::Region>, LocalStorage>,
}

impl Sleepers {
    /// Provides an empty list to what is drawn below.
    pub fn provide() -> Self {
        let own = Self {
            #[cfg(feature = "hydrate")]
            regions: StoredValue::new_local(Vec::new()),
        };
        provide_context(own);
        own
    }
}

/// A region of class `class` around what `draw` draws, which sleeps until `wanted`.
pub(super) fn asleep(
    part: &'static Part,
    class: &'static str,
    wanted: Signal<bool>,
    draw: impl Fn() -> AnyView + Send + 'static,
) -> AnyView {
    #[cfg(feature = "hydrate")]
    {
        waking::region(part, class, wanted, Box::new(draw))
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = (part, wanted);
        html::div().class(class).child(draw()).into_any()
    }
}

#[cfg(feature = "hydrate")]
mod waking {
    use std::{rc::Rc, sync::atomic::Ordering};

    use leptos::{
        html,
        prelude::*,
        tachys::view::any_view::AnyViewState,
        wasm_bindgen::JsCast as _,
        web_sys::{
            Event, EventInit, HtmlDivElement, HtmlElement, HtmlInputElement, HtmlSelectElement,
            HtmlTextAreaElement,
        },
    };

    use super::{super::Part, Sleepers};
    use crate::state::early::is_bent_fader;

    /// Attribute of a region that sleeps.
    const ASLEEP: &str = "data-asleep";

    pub(super) type Region = Rc<Asleep>;

    pub(super) struct Asleep {
        part: &'static Part,
        owner: Owner,
        place: NodeRef<html::Div>,
        draw: Box<dyn Fn() -> AnyView>,
        /// What was drawn; it follows its signals while it is kept.
        drawn: StoredValue<Option<AnyViewState>, LocalStorage>,
    }

    pub(super) fn region(
        part: &'static Part,
        class: &'static str,
        wanted: Signal<bool>,
        draw: Box<dyn Fn() -> AnyView>,
    ) -> AnyView {
        if part.there.load(Ordering::Relaxed) && wanted.get_untracked() {
            return html::div().class(class).child(draw()).into_any();
        }
        let place = NodeRef::new();
        let region = Rc::new(Asleep {
            part,
            owner: Owner::current().unwrap_or_default(),
            place,
            draw,
            drawn: StoredValue::new_local(None),
        });
        if let Some(sleepers) = use_context::<Sleepers>() {
            let own = Rc::clone(&region);
            sleepers.regions.update_value(|regions| regions.push(own));
        }
        let sleeper = Rc::clone(&region);
        Effect::new(move |_| {
            // Whoever drives the page by program waits until this is gone.
            if let Some(place) = place.get()
                && sleeper.drawn.with_value(Option::is_none)
            {
                // An element always takes an attribute.
                let _ = place.set_attribute(ASLEEP, "");
            }
        });
        Effect::new(move |_| {
            if wanted.get() {
                let region = Rc::clone(&region);
                leptos::task::spawn_local(async move {
                    // Without its program it says so itself.
                    let _ = region.part.load().await;
                    region.wake();
                });
            }
        });
        html::div().class(class).node_ref(place).into_any()
    }

    impl Sleepers {
        /// Takes over all that sleeps.
        pub async fn wake(self) {
            let regions = self.regions.try_get_value().unwrap_or_default();
            for region in regions {
                let _ = region.part.load().await;
                region.wake();
            }
        }
    }

    impl Asleep {
        /// Draws the region anew. Does nothing where that was done, and where the page has left it.
        fn wake(&self) {
            let awake = self.drawn.try_with_value(Option::is_some).unwrap_or(true);
            let Some(place) = self.place.try_get_untracked().flatten() else {
                return;
            };
            if awake {
                return;
            }
            let changed = changed(&place);
            let focused = document()
                .active_element()
                .filter(|element| place.contains(Some(element)))
                .map(|element| element.id());
            place.set_inner_html("");
            // An element always gives an attribute up.
            let _ = place.remove_attribute(ASLEEP);
            let mut drawn = self.owner.with(|| (self.draw)().build());
            drawn.mount(&place, None);
            self.drawn.set_value(Some(drawn));
            for control in changed {
                control.again();
            }
            if let Some(element) = focused.and_then(|id| document().get_element_by_id(&id))
                && let Ok(element) = element.dyn_into::<HtmlElement>()
            {
                // What cannot have it has lost it.
                let _ = element.focus();
            }
        }
    }

    /// A control that was changed since the server drew it.
    struct Changed {
        id: String,
        value: String,
        checked: bool,
    }

    fn changed(place: &HtmlDivElement) -> Vec<Changed> {
        let Ok(controls) = place.query_selector_all("input[id], textarea[id], select[id]") else {
            return Vec::new();
        };
        let controls = (0..controls.length()).filter_map(|index| controls.get(index));
        controls
            .filter_map(|control| {
                let (id, value, checked, drawn) =
                    if let Some(input) = control.dyn_ref::<HtmlInputElement>() {
                        let drawn = is_bent_fader(input)
                            || (input.value() == input.default_value()
                                && input.checked() == input.default_checked());
                        (input.id(), input.value(), input.checked(), drawn)
                    } else if let Some(area) = control.dyn_ref::<HtmlTextAreaElement>() {
                        let drawn = area
                            .default_value()
                            .is_ok_and(|drawn| drawn == area.value());
                        (area.id(), area.value(), false, drawn)
                    } else {
                        let select = control.dyn_into::<HtmlSelectElement>().ok()?;
                        let chosen = select.selected_options().item(0)?;
                        let drawn = chosen.has_attribute("selected");
                        (select.id(), select.value(), false, drawn)
                    };
                (!drawn).then_some(Changed { id, value, checked })
            })
            .collect()
    }

    impl Changed {
        /// Makes the change again, so that what listens to the new control hears of it.
        fn again(&self) {
            let Some(control) = document().get_element_by_id(&self.id) else {
                return;
            };
            if let Some(input) = control.dyn_ref::<HtmlInputElement>() {
                input.set_value(&self.value);
                input.set_checked(self.checked);
            } else if let Some(area) = control.dyn_ref::<HtmlTextAreaElement>() {
                area.set_value(&self.value);
            } else if let Some(select) = control.dyn_ref::<HtmlSelectElement>() {
                select.set_value(&self.value);
            }
            let bubbles = EventInit::new();
            bubbles.set_bubbles(true);
            for kind in ["input", "change"] {
                if let Ok(event) = Event::new_with_event_init_dict(kind, &bubbles) {
                    // Nobody prevents these.
                    let _ = control.dispatch_event(&event);
                }
            }
        }
    }
}
