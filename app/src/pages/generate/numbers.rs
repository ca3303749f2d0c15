//! The four numbers: length, takes, tempo, seed, with the limits in force.

mod settled;

use acestep_domain::{
    Note, UserError,
    defaults::AUTO_DURATION_SECS,
    generation::clamp::{Bounds, minutes},
    number::decimal,
    param::range_of,
    tier::GpuTier,
};
use leptos::prelude::*;

use self::settled::{settled_length, settled_seeds, settled_tempo};
use super::words;
use crate::{
    components::{
        note::{Invalid, Notes},
        readout::{Auto, Readout},
        slider::{Beyond, Range, Slider},
    },
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    state::{StudioStore, fields::seconds, form::Form, recordings::Recordings},
    word,
};

/// Fields of this block, in reading order.
pub const KEYS: [&str; 4] = ["duration", "batch_size", "bpm", "seed"];

/// Notes the domain would make about `key`, but for the length of Auto, which stands in its place already.
pub fn notes_for(key: &'static str) -> Signal<Vec<Note>> {
    let form = Form::expect();
    Memo::new(move |_| {
        let mut notes = form.checked.with(|checked| checked.notes_for(key));
        notes.retain(|note| note.code != "duration_auto");
        notes
    })
    .into()
}

/// What is wrong with `key`: by the domain as typed, or by the studio's last refusal.
pub fn error_for(key: &'static str) -> Signal<Option<UserError>> {
    let form = Form::expect();
    Memo::new(move |_| {
        form.checked
            .with(|checked| checked.error_for(key))
            .or_else(|| {
                form.refusal
                    .get()
                    .filter(|error| error.field.as_deref() == Some(key))
            })
    })
    .into()
}

/// The block.
#[component]
pub fn Numbers() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let on_source = Memo::new(move |_| form.task().needs().source);
    let notes = KEYS.map(notes_for);
    let errors = KEYS.map(error_for);
    let quiet = move || {
        notes.iter().all(|notes| notes.with(Vec::is_empty))
            && errors.iter().all(|error| error.with(Option::is_none))
    };
    view! {
        <section class="section" id="s-numbers" aria-label=move || t_string!(i18n, generate.numbers)>
            <div class="readouts">
                <Show when=move || !on_source.get() fallback=|| view! { <SourceLength /> }>
                    <Length />
                </Show>
                <Takes />
                <Tempo />
                <Seed />
                <div class="readouts__notes" hidden=quiet>
                    {KEYS
                        .into_iter()
                        .zip(notes)
                        .zip(errors)
                        .map(|((key, notes), error)| {
                            view! {
                                <div id=format!("{key}-note")>
                                    <Invalid id=key error />
                                    <Notes notes />
                                </div>
                            }
                        })
                        .collect_view()}
                </div>
            </div>
        </section>
    }
    .into_any()
}

/// The longest length and largest batch: now, and the most this machine could have.
fn limits(bounds: Bounds) -> ((f64, usize), (f64, usize)) {
    let without = Bounds {
        lm_loaded: false,
        ..bounds
    };
    (bounds.limits(), without.limits())
}

#[component]
fn Length() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let value = form.text("duration");
    let bounds = Memo::new(move |_| store.bounds());
    let range = Memo::new(move |_| Range {
        min: 5.0,
        max: bounds.get().limits().0,
        step: 5.0,
    });
    let secs = Memo::new(move |_| {
        value
            .with(|text| seconds(text))
            .unwrap_or_else(|| AUTO_DURATION_SECS.min(range.get().max))
    });
    let beyond = move || {
        let bounds = bounds.get();
        let ((now, _), (without, _)) = limits(bounds);
        let whole = range_of("duration").1;
        let max = if without > now { without } else { whole };
        (max > now).then(|| Beyond {
            max,
            limit_words: limit_words(i18n, bounds, &length(i18n, now)),
            max_words: if without > now {
                t_string!(i18n, generate.without_lm, what = length(i18n, without))
            } else {
                length(i18n, whole)
            },
        })
    };
    view! {
        <Readout
            id="duration"
            label=word!(i18n, params.duration.label)
            value
            placeholder=Signal::derive(move || {
                if lm_fills(store, form) {
                    t_string!(i18n, lm.picks).to_owned()
                } else {
                    t_string!(i18n, generate.auto_length, time = minutes(AUTO_DURATION_SECS.min(range.get().max)))
                }
            })
            auto=Signal::derive(move || Auto {
                word: t_string!(i18n, common.auto).to_string(),
                otherwise: minutes(30.0_f64.min(range.get().max)),
            })
            error=error_for("duration")
            settle=settled_length
            class="readout--wide"
        >
            <Slider
                id="duration-fader"
                label=word!(i18n, params.duration.label)
                spoken=Signal::derive(move || minutes(secs.get()))
                range
                value=secs
                on_move=move |secs| value.set(minutes(secs))
                beyond=Signal::derive(beyond)
            />
        </Readout>
    }
    .into_any()
}

/// The length that the source decides, to be read only.
#[component]
fn SourceLength() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let recordings = Recordings::expect();
    let params = Memo::new(move |_| form.checked.with(|checked| checked.params.clone()));
    let source = Memo::new(move |_| {
        form.text("src_audio")
            .with(|id| recordings.find(id))
            .filter(|_| params.with(acestep_domain::GenerationParams::works_on_source))
    });
    let secs = move || {
        params.with(|params| params.duration_secs).filter(|_| {
            source.with(Option::is_some)
                || !params.with(acestep_domain::GenerationParams::works_on_source)
        })
    };
    let foot = move || {
        let Some(source) = source.get() else {
            return if secs().is_some() {
                t_string!(i18n, tasks.length.codes).to_owned()
            } else {
                t_string!(i18n, tasks.length.open).to_owned()
            };
        };
        let part = params.with(|params| params.region(source.duration_secs).ok().flatten());
        match part {
            Some(part) => {
                let time = minutes(part.end_secs - part.start_secs);
                t_string!(i18n, tasks.length.part, time = time)
            }
            None => t_string!(i18n, tasks.length.source).to_owned(),
        }
    };
    view! {
        <div class="readout readout--wide">
            <div class="readout__head">
                <span class="readout__label">{t!(i18n, params.duration.label)}</span>
            </div>
            <output class="readout__value" id="source-length" dir="ltr">
                {move || secs().map_or_else(|| "–:––".to_owned(), minutes)}
            </output>
            <p class="readout__foot">{live(foot)}</p>
        </div>
    }
    .into_any()
}

/// The language model fills what is left open.
fn lm_fills(store: StudioStore, form: Form) -> bool {
    let plans = form.checked.with(|checked| checked.params.lm_plans());
    store.has_lm() && (plans || form.is_simple())
}

/// A limit in words: `4 min`, `1:30`.
fn length(i18n: words::Words, secs: f64) -> String {
    if secs % 60.0 == 0.0 {
        t_string!(i18n, generate.minutes, n = secs / 60.0)
    } else {
        minutes(secs)
    }
}

/// Whose limit it is: `tier 4: 4 min with LM`.
fn limit_words(i18n: words::Words, bounds: Bounds, what: &str) -> String {
    let what = what.to_owned();
    match (
        bounds.unlimited || bounds.tier == GpuTier::Unlimited,
        bounds.lm_loaded,
    ) {
        (true, _) => t_string!(i18n, generate.limit_most, what = what),
        (false, true) => {
            t_string!(
                i18n,
                generate.limit_with_lm,
                tier = bounds.tier as usize + 1,
                what = what
            )
        }
        (false, false) => {
            t_string!(
                i18n,
                generate.limit_tier,
                tier = bounds.tier as usize + 1,
                what = what
            )
        }
    }
}

#[component]
fn Takes() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let value = form.text("batch_size");
    let bounds = Memo::new(move |_| store.bounds());
    let range = Memo::new(move |_| Range {
        min: 1.0,
        max: bounds.get().limits().1 as f64,
        step: 1.0,
    });
    let used = Memo::new(move |_| form.checked.with(|checked| checked.params.batch_size));
    let count =
        Memo::new(move |_| value.with(|text| decimal(text.trim()).unwrap_or(used.get() as f64)));
    let beyond = move || {
        let ((_, now), (_, without)) = limits(bounds.get());
        let whole = range_of("batch_size").1 as usize;
        let max = if without > now { without } else { whole };
        (max > now).then(|| Beyond {
            max: max as f64,
            limit_words: t_string!(i18n, generate.at_most, n = now),
            max_words: if without > now {
                t_string!(i18n, generate.without_lm, what = without)
            } else {
                whole.to_string()
            },
        })
    };
    view! {
        <Readout
            id="batch_size"
            label=word!(i18n, params.batch_size.label)
            value
            placeholder=Signal::derive(move || used.get().to_string())
            error=error_for("batch_size")
        >
            <Slider
                id="batch_size-fader"
                label=word!(i18n, params.batch_size.label)
                range
                value=count
                on_move=move |count: f64| value.set(count.to_string())
                beyond=Signal::derive(beyond)
            />
        </Readout>
    }
    .into_any()
}

#[component]
fn Tempo() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    view! {
        <Readout
            id="bpm"
            label=word!(i18n, params.bpm.label)
            value=form.text("bpm")
            placeholder=Signal::derive(move || {
                if lm_fills(store, form) {
                    t_string!(i18n, lm.picks)
                } else {
                    t_string!(i18n, generate.model_picks)
                }
                    .to_owned()
            })
            auto=Signal::derive(move || Auto {
                word: t_string!(i18n, common.auto).to_string(),
                otherwise: "120".to_owned(),
            })
            error=error_for("bpm")
            settle=settled_tempo
        >
            <p class="readout__foot">
                {move || {
                    let (low, high) = range_of("bpm");
                    t_string!(i18n, generate.tempo_range, low = low, high = high)
                }}
            </p>
        </Readout>
    }
    .into_any()
}

#[component]
fn Seed() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let last = move || {
        store.songs.with(|songs| {
            songs
                .first()
                .map_or_else(|| "1".to_owned(), |song| song.seed.to_string())
        })
    };
    view! {
        <Readout
            id="seed"
            label=word!(i18n, params.seed.label)
            value=Form::expect().text("seed")
            placeholder=word!(i18n, generate.per_run)
            auto=Signal::derive(move || Auto {
                word: t_string!(i18n, generate.random).to_string(),
                otherwise: last(),
            })
            error=error_for("seed")
            settle=settled_seeds
            class="readout--last"
        >
            <p class="readout__foot">{t!(i18n, generate.seed_hint)}</p>
        </Readout>
    }
    .into_any()
}
