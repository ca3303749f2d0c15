//! The rail of a run's stages.

use leptos::prelude::*;

use crate::live::{For, live};

use super::icon::Icon;

/// How far one stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageState {
    /// Not begun.
    Wait,
    /// On it.
    Now,
    /// Behind us.
    Done,
}

/// One stage as drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct StageView {
    /// Printed name.
    pub name: String,
    /// Where it is.
    pub state: StageState,
    /// Share done, in percent.
    pub percent: f32,
    /// Steps, tiles or seconds in words.
    pub detail: String,
}

/// The rail.
#[component]
pub fn Stages(
    /// The stages in order; their number does not change during a run.
    #[prop(into)]
    stages: Signal<Vec<StageView>>,
) -> impl IntoView {
    let count = Memo::new(move |_| stages.with(Vec::len));
    view! {
        <ol class=move || match count.get() {
            0..=2 => "stages stages--few",
            3..=4 => "stages stages--four",
            _ => "stages",
        }>
            <For each=move || 0..count.get() key=|index| *index let:index>
                <Stage stage=Memo::new(move |_| stages.with(|stages| stages.get(index).cloned())) />
            </For>
        </ol>
    }
    .into_any()
}

#[component]
fn Stage(stage: Memo<Option<StageView>>) -> impl IntoView {
    let state = Memo::new(move |_| stage.get().map_or(StageState::Wait, |stage| stage.state));
    let percent = move || stage.get().map_or(0.0, |stage| stage.percent);
    let name = move || stage.get().map(|stage| stage.name);
    view! {
        <li
            class="stage"
            data-state=move || match state.get() {
                StageState::Wait => "wait",
                StageState::Now => "now",
                StageState::Done => "done",
            }
            style=move || format!("--_done: {:.1}%", percent())
        >
            <span class="stage__name">
                <Icon
                    name=Signal::derive(move || match state.get() {
                        StageState::Wait => "wait",
                        StageState::Now => "spin",
                        StageState::Done => "check",
                    })
                    class=Signal::derive(move || match state.get() {
                        StageState::Now => "icon--spin",
                        _ => "",
                    })
                />
                {live(name)}
            </span>
            <span
                class="stage__bar"
                role=move || (state.get() == StageState::Now).then_some("progressbar")
                aria-label=move || if state.get() == StageState::Now { name() } else { None }
                aria-valuenow=move || {
                    (state.get() == StageState::Now).then(|| format!("{:.0}", percent()))
                }
            ></span>
            <span class="stage__detail">{move || stage.get().map(|stage| stage.detail)}</span>
        </li>
    }
    .into_any()
}
