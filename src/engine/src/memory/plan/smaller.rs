//! What to change for a smaller need, the least first: how networks are loaded, then what is asked
//! of them.

use acestep_domain::{
    capabilities::DeviceKind,
    memory::{Change, Smaller},
    service::Quantization,
};
use serde_json::{Value, json};

use super::{Asked, Free, Needs, needs::needs};

/// Lengths to fall back to, in seconds.
const LENGTHS: [f64; 9] = [480.0, 360.0, 240.0, 180.0, 120.0, 60.0, 30.0, 15.0, 10.0];

/// A step downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Offload,
    OffloadDit,
    Quantize(Quantization),
    Songs(usize),
    Length(f64),
    WithoutLm,
    OnProcessor,
}

impl Step {
    /// `asked` with this step taken, unless it changes nothing.
    fn take(self, asked: &Asked) -> Option<Asked> {
        let mut next = asked.clone();
        let (options, work) = (&mut next.options, &mut next.work);
        let changes = match self {
            Self::Offload => !std::mem::replace(&mut options.offload_to_cpu, true),
            Self::OffloadDit => {
                let before = options.moves_dit();
                (options.offload_to_cpu, options.offload_dit_to_cpu) = (true, true);
                !before
            }
            Self::Quantize(to) => {
                let before = std::mem::replace(&mut options.quantization, to);
                let rank = |format| match format {
                    Quantization::None => 0,
                    Quantization::Int8 => 1,
                    Quantization::Int4 => 2,
                };
                rank(to) > rank(before)
            }
            Self::Songs(songs) => songs < std::mem::replace(&mut work.songs, songs),
            Self::Length(secs) => secs < std::mem::replace(&mut work.duration_secs, secs),
            Self::WithoutLm => {
                (work.plans, work.writes_codes) = (false, false);
                next.models.lm.take().is_some()
            }
            Self::OnProcessor => {
                // What a card's offload keeps in host memory is all that a processor needs.
                (options.offload_to_cpu, options.offload_dit_to_cpu) = (false, false);
                std::mem::replace(&mut options.device, DeviceKind::Cpu) != DeviceKind::Cpu
            }
        };
        changes.then_some(next)
    }

    fn changes(self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Offload => vec![("offload_to_cpu", json!(true))],
            Self::OffloadDit => vec![
                ("offload_to_cpu", json!(true)),
                ("offload_dit_to_cpu", json!(true)),
            ],
            Self::Quantize(to) => vec![("quantization", json!(to.as_str()))],
            Self::Songs(songs) => vec![("batch_size", json!(songs))],
            Self::Length(secs) => vec![("duration", json!(secs))],
            Self::WithoutLm => vec![("init_llm", json!(false))],
            Self::OnProcessor => vec![("device", json!("cpu"))],
        }
    }
}

/// What `asked` needs with `steps` taken, each of which must change something.
fn with(asked: &Asked, steps: &[Step], free: Free) -> Option<Needs> {
    let mut steps = steps.iter();
    let smaller = steps.try_fold(asked.clone(), |asked, step| step.take(&asked))?;
    Some(needs(&smaller, free))
}

/// The next smaller plan of one that fits; of one that does not, the least that would.
pub(super) fn next(asked: &Asked, now: &Needs, free: Free) -> Option<Smaller> {
    /// A plan is smaller when this part of it is saved.
    const WORTH: u64 = 64;
    let fits = now.fit(free);
    let at_work = now.peak().at_work();
    ways(asked).into_iter().find_map(|steps| {
        // Who has what fits stays where it runs.
        if fits && steps.contains(&Step::OnProcessor) {
            return None;
        }
        let then = with(asked, &steps, free)?;
        let saves = at_work.saturating_sub(then.peak().at_work()) > at_work / WORTH;
        ((saves || !fits) && then.fit(free)).then(|| told(&steps, &then))
    })
}

/// The least change to songs and length with which it fits.
pub(super) fn lowered(asked: &Asked, free: Free) -> Option<Smaller> {
    let one_song = Step::Songs(1);
    let shorter = || lengths(asked).map(Step::Length);
    let songs = songs(asked).map(|step| vec![step]);
    let mut ways = songs
        .chain(shorter().map(|length| vec![length]))
        .chain(shorter().map(|length| vec![one_song, length]));
    ways.find_map(|steps| {
        let then = with(asked, &steps, free)?;
        then.fit(free).then(|| told(&steps, &then))
    })
}

/// Fewer songs, the most of them first.
fn songs(asked: &Asked) -> impl Iterator<Item = Step> {
    (1..asked.work.songs).rev().map(Step::Songs)
}

/// Shorter lengths, where the length can be chosen.
fn lengths(asked: &Asked) -> impl Iterator<Item = f64> + Clone {
    let (open, now) = (asked.work.length_is_open(), asked.work.duration_secs);
    LENGTHS.into_iter().filter(move |secs| open && *secs < now)
}

/// Steps that are taken together, the smallest change first.
fn ways(asked: &Asked) -> Vec<Vec<Step>> {
    use Step::{Length, Offload, OffloadDit, OnProcessor, Quantize, Songs, WithoutLm};
    let quantize = [Quantize(Quantization::Int8), Quantize(Quantization::Int4)];
    let mut ways = vec![vec![Offload], vec![OffloadDit]];
    ways.extend(quantize.map(|step| vec![step]));
    ways.extend(songs(asked).map(|step| vec![step]));
    let lengths = lengths(asked).map(Length);
    ways.extend(lengths.clone().map(|step| vec![step]));
    ways.push(vec![WithoutLm]);
    // More than one at a time: as it is loaded, then the rest as well.
    ways.extend(quantize.map(|step| vec![OffloadDit, step]));
    ways.push(vec![WithoutLm, OffloadDit]);
    let small = [Quantization::Int8, Quantization::Int4];
    ways.extend(small.map(|format| vec![WithoutLm, OffloadDit, Quantize(format)]));
    let all_of = |steps: &[Step]| -> Vec<Step> {
        let changes = |step: &&Step| step.take(asked).is_some();
        steps.iter().filter(changes).copied().collect()
    };
    let rest = all_of(&[WithoutLm, OffloadDit, Quantize(Quantization::Int4)]);
    ways.extend(
        lengths
            .clone()
            .map(|length| [rest.clone(), vec![length]].concat()),
    );
    let alone = [rest, all_of(&[Songs(1)])].concat();
    ways.push(alone.clone());
    ways.extend(lengths.map(|length| [alone.clone(), vec![length]].concat()));
    ways.push(vec![OnProcessor]);
    let offloaded = [OnProcessor, OffloadDit];
    ways.extend(
        [None, Some(Quantization::Int8), Some(Quantization::Int4)]
            .map(|format| offloaded.into_iter().chain(format.map(Quantize)).collect()),
    );
    ways
}

fn told(steps: &[Step], then: &Needs) -> Smaller {
    let changes: Vec<Change> = steps
        .iter()
        .flat_map(|step| step.changes())
        .map(|(field, value)| Change {
            field: field.to_owned(),
            value,
        })
        .collect();
    let words: Vec<String> = changes
        .iter()
        .map(|Change { field, value }| match value.as_str() {
            Some(text) => format!("{field} {text}"),
            None => format!("{field} {value}"),
        })
        .collect();
    Smaller {
        message: words.join(" and "),
        expected_peak_bytes: then.peak(),
        changes,
    }
}
