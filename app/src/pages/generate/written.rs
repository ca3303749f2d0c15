//! What jobs of the language model came to: text, figures, codes, and the way into the form.

use acestep_domain::{
    audio_codes,
    generation::clamp::minutes,
    job::{Job, JobKind, JobState},
    song_plan::SongPlan,
};
use leptos::prelude::*;

use super::words;
use crate::{
    api::{
        call::{Call, CallForm},
        jobs::UseWritten,
    },
    components::{copy_button::CopyButton, icon::Icon},
    i18n::{t, t_string, use_i18n},
    live::For,
    state::{StudioStore, fill::fields_from_job, form::Form},
};

/// Cards in the column; older ones make room for songs.
const SHOWN: usize = 4;

/// The latest finished jobs of the language model, the newest open.
#[component]
pub fn WrittenJobs() -> impl IntoView {
    let store = StudioStore::expect();
    let done = Memo::new(move |_| {
        store.jobs.with(|jobs| {
            jobs.iter()
                .filter(|job| job.kind != JobKind::Generate && job.state == JobState::Done)
                // What was found out about a song stands with the song.
                .filter(|job| !job.kind.is_kept_with_song())
                .take(SHOWN)
                .cloned()
                .collect::<Vec<_>>()
        })
    });
    // A newer job of any kind has the attention.
    let newest = Memo::new(move |_| {
        store
            .jobs
            .with(|jobs| jobs.first().map(|job| job.id.clone()))
    });
    view! {
        <For each=move || done.get() key=|job| job.id.clone() let:job>
            {
                let id = job.id.clone();
                let open = newest.with_untracked(|newest| newest.as_ref() == Some(&id));
                view! { <WrittenJob job open /> }
            }
        </For>
    }
    .into_any()
}

#[component]
fn WrittenJob(job: Job, open: bool) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let heading = format!("job-{}", job.id);
    let label = heading.clone();
    let kind = job.kind;
    let own = job.clone();
    let title = Memo::new(move |_| words::job_title(i18n, store, &own));
    let facts = job.plan.as_ref().map(words::plan_facts).unwrap_or_default();
    let facts: Vec<String> = facts.iter().map(|fact| words::isolated(fact)).collect();
    let facts = facts.join(" · ");
    let fills = fields_from_job(&job).is_some();
    let plan = job.plan.clone();
    let codes = job.audio_codes.clone();
    let next = job.then_generate;
    view! {
        <article class="written" aria-labelledby=label>
            <details class="written__fold" open=open>
                <summary class="written__head">
                    <span class="badge badge--accent">{move || words::kind(i18n, kind)}</span>
                    <h2 class="written__title" id=heading>
                        <bdi>{title}</bdi>
                    </h2>
                    <span class="written__facts">{facts}</span>
                    <Icon name="down" />
                </summary>
                <div class="written__body written__content">
                    {plan.map(|plan| view! { <PlanText plan /> })}
                    <CodesText codes />
                    {next.then(|| view! { <p class="written__note">{t!(i18n, lm.next_run)}</p> })}
                    {fills.then(|| view! { <UseButton id=job.id /> })}
                </div>
            </details>
        </article>
    }
    .into_any()
}

/// Caption and words of a plan.
#[component]
pub fn PlanText(
    /// The plan.
    plan: SongPlan,
) -> impl IntoView {
    let i18n = use_i18n();
    let nothing = plan.caption.trim().is_empty()
        && plan.lyrics.trim().is_empty()
        && words::plan_facts(&plan).is_empty();
    let part = |name: Signal<&'static str>, text: String| {
        (!text.trim().is_empty()).then(|| {
            view! {
                <dt class="written__name">{name}</dt>
                <dd class="written__text" dir="auto" tabindex="0">
                    {text}
                </dd>
            }
        })
    };
    view! {
        {nothing.then(|| view! { <p class="written__note">{t!(i18n, lm.nothing_written)}</p> })}
        <dl class="written__parts">
            {part(Signal::derive(move || t_string!(i18n, params.caption.label)), plan.caption)}
            {part(Signal::derive(move || t_string!(i18n, params.lyrics.label)), plan.lyrics)}
        </dl>
    }
    .into_any()
}

/// How many codes there are, to be copied.
#[component]
pub fn CodesText(
    /// As text; nothing is drawn for none.
    codes: String,
) -> impl IntoView {
    let i18n = use_i18n();
    let count = audio_codes::parse(&codes).map_or(0, |codes| codes.len());
    (count > 0).then(|| {
        let time = minutes(audio_codes::secs(count));
        let text = Signal::stored(codes);
        view! {
            <div class="written__codes">
                <span class="written__name">{t!(i18n, lm.codes)}</span>
                <span>{move || t_string!(i18n, lm.codes_count, n = count, time = time.clone())}</span>
                <CopyButton text />
            </div>
        }
    })
}

#[component]
fn UseButton(id: String) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let take = Call::<UseWritten>::new();
    Effect::new(move |_| {
        if let Some(Ok(job)) = take.value().get()
            && let Some((by, fields)) = fields_from_job(&job)
        {
            form.fill(by, &fields);
        }
    });
    view! {
        <CallForm call=take>
            <input type="hidden" name="job_id" value=id />
            <button class="button button--small" type="submit">
                <Icon name="pen" />
                {t!(i18n, lm.use_in_form)}
            </button>
        </CallForm>
    }
    .into_any()
}
