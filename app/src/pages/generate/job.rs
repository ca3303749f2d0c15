//! The run in progress: stages, time left, Cancel, its takes as they become safe.

use acestep_domain::{
    event::{Progress, Stage},
    job::Job,
    library::Song,
};
use leptos::{form::ActionForm, prelude::*};

use super::{take::Take, words};
use crate::{
    api::jobs::Cancel,
    components::{
        icon::Icon,
        note::Notes,
        progress::{StageState, StageView, Stages},
    },
    i18n::{t, t_string, use_i18n},
    state::StudioStore,
};

/// Stages of a run without and with the language model.
fn rail(with_lm: bool) -> Vec<Stage> {
    let all = [
        Stage::Prepare,
        Stage::LanguageModel,
        Stage::Diffusion,
        Stage::Decode,
        Stage::Save,
    ];
    all.into_iter()
        .filter(|stage| with_lm || *stage != Stage::LanguageModel)
        .collect()
}

/// Where `stage` is when the run is at `now`.
fn place(stage: Stage, now: Option<&Progress>) -> (StageState, f32) {
    let Some(now) = now else {
        return (StageState::Wait, 0.0);
    };
    match stage.cmp(&now.stage) {
        std::cmp::Ordering::Less => (StageState::Done, 100.0),
        std::cmp::Ordering::Greater => (StageState::Wait, 0.0),
        std::cmp::Ordering::Equal => {
            let share = now.done as f32 / now.total.max(1) as f32;
            (StageState::Now, (share * 100.0).clamp(0.0, 100.0))
        }
    }
}

/// The card.
#[component]
pub fn RunningJob(
    /// The job.
    id: String,
    /// Stops it.
    cancel: ServerAction<Cancel>,
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
    let stages = Memo::new(move |_| {
        progress.with(|now| {
            rail(lm.get())
                .into_iter()
                .map(|stage| {
                    let (state, percent) = place(stage, now.as_ref());
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
    let eta = move || {
        progress
            .with(|now| now.as_ref().and_then(|now| now.eta_secs))
            .map(|secs| t_string!(i18n, generate.left, time = words::about(i18n, secs)))
    };
    let title = move || job.with(|job| job.as_ref().map(|job| words::job_title(i18n, job)));
    let notes = Memo::new(move |_| {
        job.with(|job| job.as_ref().map(|job| job.notes.clone()))
            .unwrap_or_default()
    });
    view! {
        <article class="job" aria-labelledby="job-title">
            <header class="job__head">
                <h2 class="job__title" id="job-title">
                    <bdi>{title}</bdi>
                </h2>
                <p class="job__eta">
                    <strong>{eta}</strong>
                </p>
                <ActionForm action=cancel attr:class="job__tools">
                    <input type="hidden" name="id" value=id />
                    <button class="button" type="submit" disabled=move || cancel.pending().get()>
                        <Icon name="x" />
                        {t!(i18n, generate.cancel)}
                    </button>
                </ActionForm>
            </header>
            <Stages stages />
            <div class="job__note" hidden=move || notes.with(Vec::is_empty)>
                <Notes notes />
            </div>
            <JobTakes job />
        </article>
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

    #[test]
    fn stages_before_are_done_and_stages_after_wait() {
        let now = Progress {
            stage: Stage::Diffusion,
            item: 0,
            done: 2,
            total: 8,
            fraction: 0.3,
            eta_secs: None,
        };
        assert_eq!(place(Stage::Prepare, Some(&now)), (StageState::Done, 100.0));
        assert_eq!(place(Stage::Diffusion, Some(&now)), (StageState::Now, 25.0));
        assert_eq!(place(Stage::Save, Some(&now)), (StageState::Wait, 0.0));
        assert_eq!(place(Stage::Prepare, None), (StageState::Wait, 0.0));
        assert_eq!(rail(false).len(), 4);
    }
}
