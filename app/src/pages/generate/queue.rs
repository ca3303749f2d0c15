//! What waits, next first: when it starts, its place, and the way out.

use acestep_domain::{generation::clamp::minutes, job::Job};
use leptos::prelude::*;

use super::{runs::after, words};
use crate::{
    api::{
        call::{Call, CallForm},
        jobs::{Cancel, ClearQueue, MoveJob},
    },
    components::icon::Icon,
    i18n::{t, t_string, use_i18n},
    live::{For, Show, live},
    state::StudioStore,
};

/// Seconds until each of `waiting` starts, after `running` seconds; not known after one that is not.
fn starts(running: Option<f64>, waiting: &[Job]) -> Vec<Option<f64>> {
    waiting
        .iter()
        .scan(running, |so_far, job| {
            let own = *so_far;
            *so_far = own.and_then(|own| Some(own + job.expected_secs?));
            Some(own)
        })
        .collect()
}

/// The list; nothing is drawn while nothing waits.
#[component]
pub fn Queue(cancel: Call<Cancel>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let earlier = Call::<MoveJob>::new();
    let clear = Call::<ClearQueue>::new();
    after(earlier, store);
    after(clear, store);
    let queue = Memo::new(move |_| store.queue());
    let count = Memo::new(move |_| queue.with(Vec::len));
    let running = Memo::new(move |_| match store.running() {
        None => Some(0.0),
        Some(_) => words::progress(store).and_then(|now| Some(f64::from(now.eta_secs?))),
    });
    let starts = Memo::new(move |_| queue.with(|queue| starts(running.get(), queue)));
    view! {
        <Show when=move || { count.get() > 0 }>
            <div class="runs__head">
                <h2 class="runs__title">{t!(i18n, generate.up_next)}</h2>
                <span class="runs__aside">
                    {move || t_string!(i18n, generate.waiting, n = count.get())}
                </span>
                <div class="runs__tools">
                    <CallForm call=clear>
                        <button class="button button--quiet button--small" type="submit">
                            {t!(i18n, generate.clear_queue)}
                        </button>
                    </CallForm>
                </div>
            </div>
            <ol class="queue">
                <For
                    each=move || queue.get()
                    key=|job| (job.id.clone(), job.queue_position, job.repeat)
                    let:job
                >
                    <Waiting job cancel earlier starts />
                </For>
            </ol>
        </Show>
    }
    .into_any()
}

#[component]
fn Waiting(
    job: Job,
    cancel: Call<Cancel>,
    earlier: Call<MoveJob>,
    starts: Memo<Vec<Option<f64>>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let place = job.queue_position.unwrap_or(1);
    let (id, moved, repeat) = (job.id.clone(), job.id.clone(), job.repeat);
    let (takes, kind) = (job.params.batch_size, job.kind);
    let length = job
        .params
        .duration_secs
        .filter(|_| words::kind(i18n, kind).is_none())
        .map(|secs| words::isolated(&minutes(secs)));
    let title = Memo::new(move |_| words::job_title(i18n, store, &job));
    let what = move || {
        let mut parts =
            vec![words::kind(i18n, kind).map_or_else(|| words::takes(i18n, takes), str::to_owned)];
        parts.extend(length.clone());
        let start = starts.with(|starts| starts.get(place - 1).copied().flatten());
        parts.extend(start.filter(|secs| *secs > 0.0).map(|secs| {
            t_string!(
                i18n,
                generate.starts_in,
                time = words::about(i18n, secs as f32)
            )
        }));
        let then = (repeat > 0).then(|| t_string!(i18n, takes.badge, n = repeat));
        parts.join(" · ") + &then.unwrap_or_default()
    };
    view! {
        <li class="queue__item">
            <span class="queue__place">{place}</span>
            <span class="queue__what">
                <bdi>{title}</bdi>
            </span>
            <span class="queue__when">{live(what)}</span>
            <span class="queue__tools">
                {(place > 1)
                    .then(|| {
                        view! {
                            <CallForm call=earlier>
                                <input type="hidden" name="id" value=moved />
                                <input type="hidden" name="position" value=place - 1 />
                                <button
                                    class="button button--quiet button--small"
                                    type="submit"
                                    aria-label=move || {
                                        t_string!(i18n, generate.sooner_named, title = title.get())
                                    }
                                >
                                    <Icon name="up" />
                                    {t!(i18n, generate.sooner)}
                                </button>
                            </CallForm>
                        }
                    })}
                <CallForm call=cancel>
                    <input type="hidden" name="id" value=id />
                    <button
                        class="button button--quiet button--small"
                        type="submit"
                        aria-label=move || t_string!(i18n, generate.remove_named, title = title.get())
                    >
                        <Icon name="x" />
                        {t!(i18n, generate.remove)}
                    </button>
                </CallForm>
            </span>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_known_as_far_as_what_is_before_it() {
        let job = |secs: Option<f64>| -> Job {
            serde_json::from_value(serde_json::json!({
                "id": "1", "state": "queued", "created_at": "", "queue_position": 1, "params": {},
                "seeds": [1], "notes": [], "progress": null, "song_ids": [], "error": null,
                "last_seq": 1, "expected_secs": secs
            }))
            .unwrap()
        };
        let waiting = [job(Some(10.0)), job(None), job(Some(5.0))];
        assert_eq!(starts(Some(2.0), &waiting), [Some(2.0), Some(12.0), None]);
        assert_eq!(starts(None, &waiting), [None, None, None]);
        assert_eq!(starts(Some(0.0), &waiting[..1]), [Some(0.0)]);
    }
}
