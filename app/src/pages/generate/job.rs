//! The run in progress: stages, time left, Cancel, its takes as they become safe.

use acestep_domain::{
    event::{Progress, Stage},
    job::{Job, JobKind},
    library::Song,
};
use leptos::prelude::*;

use super::{
    keep_going::KeepsGoing,
    take::Take,
    words,
    writing::{self, WritingNow},
};
use crate::{
    api::{
        call::{Call, CallForm},
        jobs::Cancel,
    },
    components::{
        icon::Icon,
        note::Notes,
        progress::{StageState, StageView, Stages},
    },
    i18n::{t_string, use_i18n},
    live::{For, Show, live},
    state::StudioStore,
};

/// Stages of a job, in their order. The language model plans before anything else is prepared.
fn rail(kind: JobKind, with_lm: bool) -> &'static [Stage] {
    use Stage::{Decode, Diffusion, Encode, LanguageModel, Prepare, Save};
    match kind {
        JobKind::Generate if with_lm => &[LanguageModel, Prepare, Diffusion, Decode, Save],
        JobKind::Generate => &[Prepare, Diffusion, Decode, Save],
        JobKind::Format | JobKind::Sample => &[LanguageModel],
        JobKind::Understand => &[Encode, LanguageModel],
        JobKind::Encode => &[Encode],
        JobKind::Score if with_lm => &[Encode, LanguageModel, Prepare, Diffusion],
        JobKind::LyricsTiming | JobKind::Score => &[Encode, Prepare, Diffusion],
    }
}

/// Where the stage at `index` of `rail` is when the run is at `now`.
fn place(rail: &[Stage], index: usize, now: Option<&Progress>) -> (StageState, f32) {
    let here = now.and_then(|now| rail.iter().position(|stage| *stage == now.stage));
    let (Some(now), Some(here)) = (now, here) else {
        return (StageState::Wait, 0.0);
    };
    match index.cmp(&here) {
        std::cmp::Ordering::Less => (StageState::Done, 100.0),
        std::cmp::Ordering::Greater => (StageState::Wait, 0.0),
        std::cmp::Ordering::Equal => {
            let share = now.done as f32 / now.total.max(1) as f32;
            (StageState::Now, (share * 100.0).clamp(0.0, 100.0))
        }
    }
}

/// Stages of `job`: the language model's only where it is asked.
fn rail_of(job: Option<&Job>, lm_loaded: bool) -> &'static [Stage] {
    let Some(job) = job else {
        return rail(JobKind::Generate, false);
    };
    let asked = job.params.lm_plans() || job.params.lm_writes_codes() || job.plan.is_some();
    rail(job.kind, lm_loaded && (asked || job.kind == JobKind::Score))
}

/// The card.
#[component]
pub fn RunningJob(
    /// The job.
    id: String,
    /// Stops it.
    cancel: Call<Cancel>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let own = id.clone();
    let job = Memo::new(move |_| {
        store
            .jobs
            .with(|jobs| jobs.iter().find(|job| job.id == own).cloned())
    });
    let lm = Memo::new(move |_| store.status.with(|status| status.lm_loaded));
    let progress = Memo::new(move |_| words::progress(store));
    let rail = Memo::new(move |_| job.with(|job| rail_of(job.as_ref(), lm.get())));
    let stages = Memo::new(move |_| {
        let rail = rail.get();
        progress.with(|now| {
            rail.iter()
                .enumerate()
                .map(|(index, &stage)| {
                    let (state, percent) = place(rail, index, now.as_ref());
                    let figures = now.as_ref().filter(|_| state == StageState::Now);
                    StageView {
                        name: words::stage(i18n, stage),
                        state,
                        percent,
                        detail: figures.map_or_else(String::new, |now| detail(i18n, now)),
                    }
                })
                .collect::<Vec<_>>()
        })
    });
    let kind = Memo::new(move |_| job.with(|job| job.as_ref().map(|job| job.kind)));
    let makes_songs = Memo::new(move |_| kind.get() == Some(JobKind::Generate));
    let wrote = Memo::new(move |_| {
        job.with(|job| {
            let job = job.as_ref()?;
            let facts = words::plan_facts_beside(job.plan.as_ref()?, &job.params);
            (!facts.is_empty()).then(|| facts.join(", "))
        })
    });
    let notes = Memo::new(move |_| {
        job.with(|job| job.as_ref().map(|job| job.notes.clone()))
            .unwrap_or_default()
    });
    view! {
        <article class="job" aria-labelledby="job-title">
            <JobHead id job progress cancel />
            <Stages stages />
            <KeepsGoing job />
            <WritingNow progress />
            {move || {
                wrote
                    .get()
                    .map(|what| {
                        view! {
                            <p class="job__note note note--info">
                                <Icon name="info" />
                                <span>{t_string!(i18n, lm.wrote, what = what)}</span>
                            </p>
                        }
                    })
            }}
            <div class="job__note" hidden=move || notes.with(Vec::is_empty)>
                <Notes notes />
            </div>
            <Show when=move || makes_songs.get()>
                <JobTakes job />
            </Show>
        </article>
    }
    .into_any()
}

/// What runs, how long it still takes, and Cancel.
#[component]
fn JobHead(
    id: String,
    job: Memo<Option<Job>>,
    progress: Memo<Option<Progress>>,
    cancel: Call<Cancel>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let kind = Memo::new(move |_| job.with(|job| job.as_ref().map(|job| job.kind)));
    let asked = id.clone();
    // Answered at once; the studio's own word for it comes with the next look at the job.
    let cancelling = Memo::new(move |_| {
        let sent = cancel.sent().with(|sent| sent.contains(&asked));
        let told = job.with(|job| job.as_ref().is_some_and(|job| job.cancelling));
        told || (sent && cancel.pending().get())
    });
    let eta = move || {
        if store.lost.get() {
            return None;
        }
        if cancelling.get() {
            return Some(t_string!(i18n, generate.stops_soon).to_owned());
        }
        progress
            .with(|now| now.as_ref().and_then(|now| now.eta_secs))
            .map(|secs| t_string!(i18n, generate.left, time = words::about(i18n, secs)))
    };
    // Takes are finished one after the other; before that they are worked on together.
    let take = move || {
        let all = job.with(|job| job.as_ref().map_or(1, |job| job.params.batch_size));
        let now = progress.with(|now| {
            now.as_ref()
                .filter(|now| matches!(now.stage, Stage::Decode | Stage::Save))
                .map(|now| now.item + 1)
        });
        now.filter(|_| all > 1 && kind.get() == Some(JobKind::Generate))
            .map(|n| t_string!(i18n, generate.take_of, n = n, all = all))
    };
    let title = move || job.with(|job| job.as_ref().map(|job| words::job_title(i18n, store, job)));
    let kind_name = move || kind.get().and_then(|kind| words::kind(i18n, kind));
    view! {
        <header class="job__head">
            <h2 class="job__title" id="job-title">
                <bdi>{live(title)}</bdi>
            </h2>
            {move || kind_name().map(|name| view! { <span class="badge">{name}</span> })}
            {move || {
                take().map(|text| view! { <span class="badge">{text}</span> })
            }}
            <p class="job__eta">
                <strong>{live(eta)}</strong>
            </p>
            <CallForm call=cancel attr:class="job__tools">
                <input type="hidden" name="id" value=id />
                <button class="button" type="submit" disabled=move || cancelling.get()>
                    <Icon name="x" />
                    {move || {
                        if cancelling.get() {
                            t_string!(i18n, generate.cancelling)
                        } else {
                            t_string!(i18n, generate.cancel)
                        }
                    }}
                </button>
            </CallForm>
        </header>
    }
    .into_any()
}

fn detail(i18n: words::Words, now: &Progress) -> String {
    match now.stage {
        Stage::Diffusion => {
            t_string!(i18n, generate.step_of, n = now.done, all = now.total)
        }
        Stage::Decode | Stage::Encode => {
            t_string!(i18n, generate.tile_of, n = now.done, all = now.total)
        }
        Stage::LanguageModel => writing::detail(i18n, now),
        _ if now.total > 1 => t_string!(i18n, generate.part_of, n = now.done, all = now.total),
        _ => String::new(),
    }
}

/// Finished takes with their player, the others with their seed.
#[component]
fn JobTakes(job: Memo<Option<Job>>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let songs = Memo::new(move |_| {
        let ids = job
            .with(|job| job.as_ref().map(|job| job.song_ids.clone()))
            .unwrap_or_default();
        let mut songs: Vec<Song> = store.songs.with(|songs| {
            songs
                .iter()
                .filter(|song| ids.contains(&song.id))
                .cloned()
                .collect()
        });
        songs.sort_by_key(|song| song.item);
        songs
    });
    let waiting = Memo::new(move |_| {
        let ready = songs.with(|songs| songs.iter().map(|song| song.item).collect::<Vec<_>>());
        job.with(|job| job.as_ref().map(|job| job.seeds.clone()))
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .filter(|(item, _)| !ready.contains(item))
            .collect::<Vec<_>>()
    });
    view! {
        <For each=move || songs.get() key=|song| song.id.clone() let:song>
            <Take song />
        </For>
        <For each=move || waiting.get() key=|(item, _)| *item let:take>
            <article class="take take--wait" aria-labelledby=format!("take-wait-{}", take.0)>
                <div class="take__head">
                    <h3 class="take__title" id=format!("take-wait-{}", take.0)>
                        {move || t_string!(i18n, generate.take_title, n = take.0 + 1)}
                    </h3>
                    <span class="take__meta">
                        {move || t_string!(i18n, generate.take_wait, seed = take.1)}
                    </span>
                </div>
            </article>
        </For>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: Stage) -> Progress {
        Progress {
            stage,
            item: 0,
            done: 2,
            total: 8,
            fraction: 0.3,
            eta_secs: None,
            writing: None,
        }
    }

    #[test]
    fn stages_before_are_done_and_stages_after_wait() {
        let rail = rail(JobKind::Generate, false);
        let now = at(Stage::Diffusion);
        assert_eq!(place(rail, 0, Some(&now)), (StageState::Done, 100.0));
        assert_eq!(place(rail, 1, Some(&now)), (StageState::Now, 25.0));
        assert_eq!(place(rail, 3, Some(&now)), (StageState::Wait, 0.0));
        assert_eq!(place(rail, 0, None), (StageState::Wait, 0.0));
    }

    #[test]
    fn listening_comes_before_writing_down() {
        let rail = rail(JobKind::Understand, true);
        let now = at(Stage::LanguageModel);
        assert_eq!(place(rail, 0, Some(&now)), (StageState::Done, 100.0));
        assert_eq!(place(rail, 1, Some(&now)), (StageState::Now, 25.0));
    }

    #[test]
    fn a_stage_that_is_not_drawn_moves_nothing() {
        let rail = rail(JobKind::Format, true);
        assert_eq!(
            place(rail, 0, Some(&at(Stage::Load))),
            (StageState::Wait, 0.0)
        );
    }
}
