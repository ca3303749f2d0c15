//! A part of a recording, drawn over its wave by a stroke or by two handles, and behind both ends the room
//! in which the recording can be made longer. Time runs left to right in every language.

use acestep_domain::generation::clamp::minutes;
use leptos::{ev, html, prelude::*};

use super::wave::bars;
use crate::live::Show;
use crate::player::clock;

/// Share of the width that each extension zone takes.
const ZONE: f64 = 0.08;
/// Share of the width that a flag takes beside its handle.
const FLAG: f64 = 0.12;
/// Share of the width that a pointer must travel before it draws a part: less is a click.
const SMALLEST_STROKE: f64 = 0.01;
/// The shortest part, and the finest step, in seconds.
const FINEST_SECS: f64 = 0.1;

/// A recording with its extension zones, as drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Length of the recording in seconds.
    pub secs: f64,
    /// Seconds that each zone stands for; 0 = it cannot be made longer.
    pub extension_secs: f64,
}

/// One end of the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
}

impl Scale {
    fn zone(self) -> f64 {
        if self.extension_secs > 0.0 { ZONE } else { 0.0 }
    }

    /// Where a second of the recording is drawn, as a share of the width. What lies further out than a
    /// zone reaches is drawn at its edge.
    pub fn share(self, at_secs: f64) -> f64 {
        let zone = self.zone();
        let outside = |secs: f64| (secs / self.extension_secs.max(1e-9)).clamp(0.0, 1.0) * zone;
        if at_secs < 0.0 {
            zone - outside(-at_secs)
        } else if at_secs > self.secs {
            1.0 - zone + outside(at_secs - self.secs)
        } else {
            zone + (1.0 - 2.0 * zone) * at_secs / self.secs.max(1e-9)
        }
    }

    /// The second drawn at a share of the width, in whole tenths.
    pub fn secs_at(self, share: f64) -> f64 {
        let (zone, share) = (self.zone(), share.clamp(0.0, 1.0));
        let secs = if share < zone {
            (share / zone - 1.0) * self.extension_secs
        } else if share > 1.0 - zone {
            self.secs + (share - 1.0 + zone) / zone * self.extension_secs
        } else {
            (share - zone) / (1.0 - 2.0 * zone) * self.secs
        };
        (secs * 10.0).round() / 10.0
    }

    /// The part with one end moved to `to`: inside the zones, not before or behind the other end, and
    /// touching the recording.
    fn moved(self, (from, until): (f64, f64), end: End, to: f64) -> (f64, f64) {
        match end {
            End::From => {
                let last = (until - FINEST_SECS).min(self.secs);
                (to.min(last).max(-self.extension_secs), until)
            }
            End::To => {
                let first = (from + FINEST_SECS).max(0.0);
                (from, to.max(first).min(self.secs + self.extension_secs))
            }
        }
    }

    /// The part between two places of the width, in either order.
    fn drawn(self, a: f64, b: f64) -> (f64, f64) {
        let (from, to) = (self.secs_at(a.min(b)), self.secs_at(a.max(b)));
        let part = self.moved((from, to.max(from + FINEST_SECS)), End::From, from);
        self.moved(part, End::To, to)
    }

    /// Seconds with a mark: round steps, at most seven.
    fn marks(self) -> Vec<f64> {
        let step = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0]
            .into_iter()
            .find(|step| self.secs / step <= 6.5)
            .unwrap_or(600.0);
        let count = (self.secs / step).floor() as usize;
        (0..=count).map(|mark| mark as f64 * step).collect()
    }
}

/// The recording's wave with the part.
#[component]
pub fn Region(
    /// Spoken name of the whole.
    #[prop(into)]
    label: Signal<String>,
    /// Spoken name of the first handle.
    #[prop(into)]
    from_label: Signal<String>,
    /// Spoken name of the second handle.
    #[prop(into)]
    to_label: Signal<String>,
    /// Peaks of the recording, 0 to 1.
    peaks: Vec<f32>,
    /// Its length, and how much longer it may get.
    scale: Scale,
    /// Start and end of the part in seconds; below 0 and behind the end the recording is made longer.
    #[prop(into)]
    part: Signal<(f64, f64)>,
    /// A place as text.
    text: fn(f64) -> String,
    /// Where it sounds, in seconds of the recording.
    #[prop(into)]
    position: Signal<f64>,
    /// Takes the part once it is moved.
    #[prop(into)]
    on_move: Callback<(f64, f64)>,
) -> impl IntoView {
    let stage = NodeRef::<html::Div>::new();
    // Where the pointer was pressed, as a share of the width, while a new part is drawn.
    let drawn_from = RwSignal::new(None);
    let press = move |event: ev::PointerEvent| {
        if event.button() == 0 {
            hold(&event);
            drawn_from.set(share(stage, &event));
        }
    };
    let draw = move |event: ev::PointerEvent| {
        if let (Some(from), Some(to)) = (drawn_from.get_untracked(), share(stage, &event))
            && (to - from).abs() > SMALLEST_STROKE
        {
            on_move.run(scale.drawn(from, to));
        }
    };
    let percent = move |secs: f64| scale.share(secs) * 100.0;
    let style = move || {
        let (from, to) = part.get();
        format!(
            "--_zone: {:.1}%; --_from: {:.2}%; --_to: {:.2}%; --_pos: {:.2}%",
            scale.zone() * 100.0,
            percent(from),
            percent(to),
            percent(position.get()),
        )
    };
    // Where a flag has no room outside the part, it stands inside.
    let edge = move |end: f64, low: bool| {
        let share = scale.share(end);
        let tight = if low {
            share < FLAG
        } else {
            share > 1.0 - FLAG
        };
        tight.then_some("edge")
    };
    let marks = scale
        .marks()
        .into_iter()
        .map(|mark| {
            view! {
                <span class="region__mark" style=format!("left: {:.2}%", percent(mark))>
                    {clock(mark)}
                </span>
            }
        })
        .collect_view();
    view! {
        <div class="region" dir="ltr" role="group" aria-label=move || label.get()>
            <div
                class="region__stage"
                style=style
                data-from=move || edge(part.get().0, true)
                data-to=move || edge(part.get().1, false)
                node_ref=stage
                on:pointerdown=press
                on:pointermove=draw
                on:pointerup=move |_| drawn_from.set(None)
                on:pointercancel=move |_| drawn_from.set(None)
            >
                <span class="region__ext region__ext--before"></span>
                <span class="region__ext region__ext--after"></span>
                <div class="region__wave">
                    <svg
                        class="wave__bars"
                        viewBox="0 0 600 64"
                        preserveAspectRatio="none"
                        aria-hidden="true"
                    >
                        <path d=bars(&peaks)></path>
                    </svg>
                </div>
                <div class="region__sel">
                    <Handle end=End::From label=from_label stage scale part text on_move />
                    <Handle end=End::To label=to_label stage scale part text on_move />
                </div>
                <Show when=move || { position.get() > 0.0 }>
                    <span class="region__head"></span>
                </Show>
            </div>
            <div class="region__ruler" aria-hidden="true">
                {marks}
            </div>
        </div>
    }
    .into_any()
}

#[component]
fn Handle(
    end: End,
    label: Signal<String>,
    stage: NodeRef<html::Div>,
    scale: Scale,
    part: Signal<(f64, f64)>,
    text: fn(f64) -> String,
    on_move: Callback<(f64, f64)>,
) -> impl IntoView {
    let held = RwSignal::new(false);
    let value = move || match end {
        End::From => part.get().0,
        End::To => part.get().1,
    };
    let to = move |secs: f64| on_move.run(scale.moved(part.get_untracked(), end, secs));
    let (first, last) = match end {
        End::From => (-scale.extension_secs, scale.secs),
        End::To => (0.0, scale.secs + scale.extension_secs),
    };
    let keys = move |event: ev::KeyboardEvent| {
        let step = if event.shift_key() { FINEST_SECS } else { 1.0 };
        let now = untrack(value);
        let target = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => now - step,
            "ArrowRight" | "ArrowUp" => now + step,
            "PageDown" => now - 5.0,
            "PageUp" => now + 5.0,
            "Home" => first,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        to((target * 10.0).round() / 10.0);
    };
    let (class, flag) = match end {
        End::From => (
            "region__handle region__handle--from",
            "region__flag region__flag--from",
        ),
        End::To => (
            "region__handle region__handle--to",
            "region__flag region__flag--to",
        ),
    };
    view! {
        <button
            type="button"
            class=class
            role="slider"
            aria-label=move || label.get()
            aria-orientation="horizontal"
            aria-valuemin=format!("{first:.1}")
            aria-valuemax=format!("{last:.1}")
            aria-valuenow=move || format!("{:.1}", value().clamp(first, last))
            aria-valuetext=move || format!("{} / {}", text(value()), minutes(scale.secs))
            on:keydown=keys
            on:pointerdown=move |event| {
                // Beside the handles a new part is drawn.
                event.stop_propagation();
                hold(&event);
                held.set(true);
            }
            on:pointermove=move |event| {
                if held.get_untracked() && let Some(share) = share(stage, &event) {
                    to(scale.secs_at(share));
                }
            }
            on:pointerup=move |_| held.set(false)
            on:pointercancel=move |_| held.set(false)
        ></button>
        <span class=flag>{move || text(value())}</span>
    }
    .into_any()
}

/// Keeps the pointer with the handle while it is pressed, also outside the wave.
fn hold(event: &ev::PointerEvent) {
    #[cfg(feature = "hydrate")]
    {
        use leptos::wasm_bindgen::JsCast as _;
        if let Some(handle) = event
            .current_target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        {
            // Without capture the handle follows only while the pointer is over it.
            let _ = handle.set_pointer_capture(event.pointer_id());
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = event;
}

/// Where on the stage a pointer stands, as a share of its width.
#[cfg(feature = "hydrate")]
fn share(stage: NodeRef<html::Div>, event: &ev::PointerEvent) -> Option<f64> {
    let rect = stage.get_untracked()?.get_bounding_client_rect();
    (rect.width() > 0.0).then(|| (f64::from(event.client_x()) - rect.left()) / rect.width())
}

#[cfg(not(feature = "hydrate"))]
fn share(_: NodeRef<html::Div>, _: &ev::PointerEvent) -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale {
        secs: 240.0,
        extension_secs: 30.0,
    };

    #[test]
    fn a_place_is_found_where_it_was_drawn() {
        for secs in [-30.0, -12.5, 0.0, 76.4, 240.0, 255.0, 270.0] {
            let share = SCALE.share(secs);
            assert!((SCALE.secs_at(share) - secs).abs() < 0.06, "{secs} {share}");
        }
        assert_eq!((SCALE.share(-90.0), SCALE.share(900.0)), (0.0, 1.0));
        let full = Scale {
            extension_secs: 0.0,
            ..SCALE
        };
        assert_eq!((full.share(0.0), full.share(240.0)), (0.0, 1.0));
        assert_eq!(full.secs_at(0.5), 120.0);
    }

    #[test]
    fn a_part_never_turns_round_and_always_touches_the_recording() {
        let moved = |part, end, to| SCALE.moved(part, end, to);
        assert_eq!(moved((10.0, 20.0), End::From, 30.0), (19.9, 20.0));
        assert_eq!(moved((10.0, 20.0), End::To, 5.0), (10.0, 10.1));
        assert_eq!(moved((10.0, 20.0), End::From, -99.0), (-30.0, 20.0));
        assert_eq!(moved((10.0, 20.0), End::To, 999.0), (10.0, 270.0));
        assert_eq!(moved((10.0, 260.0), End::From, 250.0), (240.0, 260.0));
        assert_eq!(moved((-20.0, 5.0), End::To, -10.0), (-20.0, 0.0));
    }

    #[test]
    fn a_stroke_draws_a_part_in_either_direction() {
        let (a, b) = (SCALE.share(60.0), SCALE.share(90.0));
        assert_eq!(SCALE.drawn(a, b), (60.0, 90.0));
        assert_eq!(SCALE.drawn(b, a), (60.0, 90.0));
        assert_eq!(SCALE.drawn(a, a), (60.0, 60.1));
        // Inside a zone alone it still touches the recording.
        assert_eq!(SCALE.drawn(0.0, 0.02).1, 0.0);
        assert_eq!(SCALE.drawn(0.98, 1.0).0, 240.0);
    }

    #[test]
    fn marks_are_round_and_few() {
        let marks = |secs| {
            Scale {
                secs,
                extension_secs: 0.0,
            }
            .marks()
        };
        assert_eq!(marks(240.0), [0.0, 60.0, 120.0, 180.0, 240.0]);
        assert_eq!(marks(6.0).len(), 7);
        for secs in [0.5, 7.0, 33.0, 95.0, 599.0] {
            assert!((1..=7).contains(&marks(secs).len()), "{secs}");
        }
    }
}
