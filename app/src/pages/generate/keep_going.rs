//! Keep going: runs that follow a run with its settings and new seeds. The studio queues each when the one
//! before is done, so it goes on without the page; the number of runs is its end, or one Stop.

use acestep_domain::job::{Job, JobKind, MAX_REPEATS};
use leptos::prelude::*;

use super::{numbers::error_for, runs::after};
use crate::{
    api::{
        call::{Call, CallForm},
        jobs::SetRepeat,
    },
    components::{icon::Icon, note::Invalid, switch::Switch},
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::{
        StudioStore,
        form::Form,
        request::{KEEP_GOING, REPEAT, USUAL_REPEATS},
    },
    word,
};

/// The switch, a row of the plan.
#[component]
pub fn KeepGoingRow() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let count = form.text(REPEAT);
    let error = error_for(REPEAT);
    view! {
        <div class="plan__row plan__row--top">
            <dt>{t!(i18n, takes.then)}</dt>
            <dd class="keep-going">
                <Switch
                    id=KEEP_GOING
                    value=form.switch(KEEP_GOING)
                    label=word!(i18n, takes.keep_going)
                    with_state=true
                />
                <span class="keep-going__count">
                    <input
                        class="field__input keep-going__number"
                        type="number"
                        id=REPEAT
                        name=REPEAT
                        min="1"
                        max=MAX_REPEATS
                        aria-label=move || t_string!(i18n, takes.more_runs)
                        aria-describedby="repeat-about repeat-error"
                        value=count.get_untracked()
                        prop:value=count
                        on:input:target=move |event| count.set(event.target().value())
                    />
                    <span id="repeat-about">{t!(i18n, takes.about)}</span>
                </span>
                <Invalid id=REPEAT error />
            </dd>
        </div>
    }
    .into_any()
}

/// How it goes on after the running job, and the one button that ends it.
#[component]
pub fn KeepsGoing(job: Memo<Option<Job>>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let change = Call::<SetRepeat>::new();
    after(change, store);
    // Songs of a sample follow a job of their own.
    let makes_songs = Memo::new(move |_| {
        job.with(|job| {
            job.as_ref()
                .is_some_and(|job| job.kind == JobKind::Generate)
        })
    });
    let id = move || job.with(|job| job.as_ref().map(|job| job.id.clone()));
    let left = Memo::new(move |_| job.with(|job| job.as_ref().map_or(0, |job| job.repeat)));
    let wanted = move || {
        if left.get() > 0 {
            return 0;
        }
        let count = form.text(REPEAT).with(|count| count.trim().parse().ok());
        count.unwrap_or(USUAL_REPEATS).clamp(1, MAX_REPEATS)
    };
    view! {
        <Show when=move || makes_songs.get()>
            <div class="job__repeat" data-on=move || (left.get() > 0).then_some("")>
                // That an ordinary run is the last goes without saying.
                <p hidden=move || left.get() == 0>
                    {move || match left.get() {
                        0 => String::new(),
                        1 => t_string!(i18n, takes.keeps_one).to_owned(),
                        n => t_string!(i18n, takes.keeps, n = n),
                    }}
                </p>
                <CallForm call=change>
                    <input type="hidden" name="id" value=id />
                    <input type="hidden" name="repeat" value=move || wanted().to_string() />
                    <button
                        class="button button--small"
                        type="submit"
                        disabled=move || change.pending().get()
                    >
                        <Icon name=Signal::derive(move || if left.get() > 0 { "x" } else { "loop" }) />
                        {move || {
                            if left.get() > 0 {
                                t_string!(i18n, takes.stop)
                            } else {
                                t_string!(i18n, takes.keep_going)
                            }
                        }}
                    </button>
                </CallForm>
            </div>
        </Show>
    }
    .into_any()
}
