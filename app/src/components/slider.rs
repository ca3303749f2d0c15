//! A fader. The part beyond the present limit is drawn hatched and cannot be reached.

use leptos::prelude::*;

/// What lies beyond the limit: how far the whole range goes, and words for both ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Beyond {
    /// End of the whole range.
    pub max: f64,
    /// Under the limit, for example `tier 4: 4 min with LM`.
    pub limit_words: String,
    /// Under the end, for example `6 min`.
    pub max_words: String,
}

/// The range a fader moves in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Start.
    pub min: f64,
    /// The limit in force.
    pub max: f64,
    /// Smallest move.
    pub step: f64,
}

impl Range {
    /// Share of the way from start to limit, in percent.
    fn percent(self, value: f64) -> f64 {
        if self.max <= self.min {
            return 100.0;
        }
        ((value - self.min) / (self.max - self.min) * 100.0).clamp(0.0, 100.0)
    }
}

/// The fader. It has a `name` only when it is the sole control of its parameter.
#[component]
pub fn Slider(
    /// Id; the parameter key, or the key with a suffix beside a number field.
    #[prop(into)]
    id: String,
    /// Name in the form.
    #[prop(optional, into)]
    name: Option<String>,
    /// Spoken name where no label points here.
    #[prop(optional, into)]
    label: MaybeProp<String>,
    /// Spoken value, for example `4:00`.
    #[prop(optional, into)]
    spoken: MaybeProp<String>,
    /// The range.
    #[prop(into)]
    range: Signal<Range>,
    /// The value.
    #[prop(into)]
    value: Signal<f64>,
    /// Takes the moved value.
    #[prop(into)]
    on_move: Callback<f64>,
    /// What lies beyond the limit.
    #[prop(optional, into)]
    beyond: MaybeProp<Beyond>,
) -> impl IntoView {
    let style = move || {
        let range = range.get();
        let share = beyond.get().map_or(100.0, |beyond| {
            ((range.max - range.min) / (beyond.max - range.min).max(1e-9) * 100.0)
                .clamp(20.0, 100.0)
        });
        format!(
            "--_fill: {:.1}%; --_share: {share:.0}%",
            range.percent(value.get())
        )
    };
    view! {
        <div class="slider" style=style>
            <div class="slider__rail">
                <input
                    class="slider__input"
                    type="range"
                    id=id
                    name=name
                    aria-label=move || label.get()
                    aria-valuetext=move || spoken.get()
                    min=move || range.get().min
                    max=move || range.get().max
                    step=move || range.get().step
                    value=value.get_untracked()
                    prop:value=move || {
                        range.track();
                        value.get().to_string()
                    }
                    on:input:target=move |event| {
                        if let Some(moved) = acestep_domain::number::decimal(&event.target().value()) {
                            on_move.run(moved);
                        }
                    }
                />
                {move || beyond.get().map(|_| view! { <span class="slider__beyond"></span> })}
            </div>
            {move || {
                beyond
                    .get()
                    .map(|beyond| {
                        view! {
                            <div class="slider__scale">
                                <span class="slider__scale-limit">{beyond.limit_words}</span>
                                <span class="slider__scale-beyond">{beyond.max_words}</span>
                            </div>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}
