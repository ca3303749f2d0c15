//! Peaks of a song with its played part. Time runs left to right in every language.

use acestep_domain::generation::clamp::minutes;
use leptos::prelude::*;

/// Bars drawn over the whole width.
const BARS: usize = 200;
/// Width and height of the drawing.
const WIDTH: f32 = 600.0;
const HEIGHT: f32 = 64.0;

/// `M x y V y` for each bar, loudest peak of its share.
pub fn bars(peaks: &[f32]) -> String {
    if peaks.is_empty() {
        return format!("M0 {0}H{WIDTH}", HEIGHT / 2.0);
    }
    let count = BARS.min(peaks.len());
    let pitch = WIDTH / count as f32;
    let marks: Vec<String> = (0..count)
        .map(|bar| {
            let (from, to) = (bar * peaks.len() / count, (bar + 1) * peaks.len() / count);
            let peak = peaks[from..to.max(from + 1)]
                .iter()
                .copied()
                .fold(0.0, f32::max);
            let half = (peak.clamp(0.0, 1.0) * (HEIGHT / 2.0 - 2.0)).max(1.0);
            format!(
                "M{:.1} {:.1}V{:.1}",
                (bar as f32 + 0.5) * pitch,
                HEIGHT / 2.0 - half,
                HEIGHT / 2.0 + half
            )
        })
        .collect();
    marks.concat()
}

/// Where in the wave a pointer stands, as a share of its width.
#[cfg(feature = "hydrate")]
fn share(event: &leptos::ev::MouseEvent) -> Option<f64> {
    use leptos::wasm_bindgen::JsCast as _;
    let rect = event
        .current_target()?
        .dyn_into::<web_sys::Element>()
        .ok()?
        .get_bounding_client_rect();
    (rect.width() > 0.0)
        .then(|| ((f64::from(event.client_x()) - rect.left()) / rect.width()).clamp(0.0, 1.0))
}

#[cfg(not(feature = "hydrate"))]
fn share(_: &leptos::ev::MouseEvent) -> Option<f64> {
    None
}

/// The wave, a slider over the song's time.
#[component]
pub fn Wave(
    /// Peaks, 0 to 1.
    peaks: Vec<f32>,
    /// Length of the song in seconds.
    duration_secs: f64,
    /// Position in seconds.
    #[prop(into)]
    position: Signal<f64>,
    /// Spoken name.
    #[prop(into)]
    label: Signal<String>,
    /// Goes to a second of the song.
    #[prop(into)]
    on_seek: Callback<f64>,
    /// Drawn low.
    #[prop(optional)]
    slim: bool,
) -> impl IntoView {
    let path = bars(&peaks);
    let percent = move || {
        if duration_secs > 0.0 {
            (position.get() / duration_secs * 100.0).clamp(0.0, 100.0)
        } else {
            0.0
        }
    };
    let keys = move |event: leptos::ev::KeyboardEvent| {
        let step = if event.shift_key() { 0.1 } else { 1.0 };
        let now = position.get_untracked();
        let to = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => now - step,
            "ArrowRight" | "ArrowUp" => now + step,
            "Home" => 0.0,
            "End" => duration_secs,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        on_seek.run(to.clamp(0.0, duration_secs));
    };
    view! {
        <div
            class=if slim { "wave wave--slim" } else { "wave" }
            dir="ltr"
            style=move || format!("--_pos: {:.2}%", percent())
            role="slider"
            tabindex="0"
            aria-label=move || label.get()
            aria-valuemin="0"
            aria-valuemax=format!("{duration_secs:.0}")
            aria-valuenow=move || format!("{:.0}", position.get())
            aria-valuetext=move || {
                format!("{} / {}", minutes(position.get().floor()), minutes(duration_secs))
            }
            on:click=move |event| {
                if let Some(share) = share(&event) {
                    on_seek.run(share * duration_secs);
                }
            }
            on:keydown=keys
        >
            <svg
                class="wave__bars"
                viewBox="0 0 600 64"
                preserveAspectRatio="none"
                aria-hidden="true"
            >
                <path d=path.clone()></path>
            </svg>
            <svg
                class="wave__bars wave__bars--played"
                viewBox="0 0 600 64"
                preserveAspectRatio="none"
                aria-hidden="true"
            >
                <path d=path></path>
            </svg>
            <span class="wave__head"></span>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_a_bar_for_every_share_and_silence_is_a_line() {
        let loud = bars(&[1.0; 256]);
        assert_eq!(loud.matches('M').count(), BARS);
        assert!(loud.starts_with("M1.5 2.0V62.0"));
        assert_eq!(bars(&[0.5; 10]).matches('M').count(), 10);
        assert_eq!(bars(&[]), "M0 32H600");
    }
}
