//! What was learnt of this machine's pace, kept with the library: a file of JSON beside the songs.
//! Nothing but estimates hangs on it; a damaged one is begun anew.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use acestep_domain::{GenerationParams, capabilities::DeviceKind, memory::RunPlan};
use acestep_engine::{
    engine::LoadOptions,
    memory::{
        pace::{Machine, UnitSecs},
        plan::{Brought, Free, Models, Work},
    },
};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{
    loadout::run_plan,
    pace::{Amount, FoundRates, LmRates, MainRates, Rates},
};

const FILE: &str = "paces.json";

/// Seconds that are heard of each reference.
pub const REFERENCE_SECS: f64 = 30.0;

/// The models, how they are loaded, and what of the machine they have.
type Setup<'a> = (&'a Models, &'a LoadOptions, Free);

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Not `machine`, which had fewer rates.
    rates: Option<Machine>,
    /// By model and how it is loaded.
    main: BTreeMap<String, MainRates>,
    /// By language model and how it is loaded.
    lm: BTreeMap<String, LmRates>,
    /// Seconds for each second of a song, by the main model (and the language model that reads for a score).
    lyrics_timing: BTreeMap<String, f64>,
    score: BTreeMap<String, f64>,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Paces {
    path: PathBuf,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Paces {
    /// In the folder of songs.
    pub(crate) fn new(output_dir: &Path) -> Self {
        Self {
            path: output_dir.join(FILE),
            changing: Mutex::default(),
        }
    }

    fn read(&self) -> Kept {
        let Ok(bytes) = fs::read(&self.path) else {
            return Kept::default();
        };
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            warn!("{} is damaged and begun anew: {error}", self.path.display());
            Kept::default()
        })
    }

    /// What runs with such models took on this machine, else what they should take.
    pub(crate) fn rates(&self, setup: Setup<'_>) -> Rates {
        let (models, options, _) = setup;
        let kept = self.read();
        let main = kept.main.get(&main_key(setup)).copied();
        let lm = lm_key(setup).and_then(|key| kept.lm.get(&key).copied());
        let missing = main.is_none() || (lm.is_none() && models.lm_name().is_some());
        let mut rates = if missing {
            self.estimate(models, options, &kept)
        } else {
            Rates::default()
        };
        rates.main = main.unwrap_or(rates.main);
        rates.lm = lm.unwrap_or(rates.lm);
        rates.found = FoundRates {
            timing: kept.lyrics_timing.get(&main_key(setup)).copied(),
            score: kept.score.get(&score_key(setup)).copied(),
        };
        rates
    }

    fn estimate(&self, models: &Models, options: &LoadOptions, kept: &Kept) -> Rates {
        let machine = kept.rates.or_else(|| {
            let machine = Machine::measure()?;
            self.change(|kept| kept.rates = Some(machine));
            Some(machine)
        });
        machine
            .and_then(|machine| UnitSecs::of(models, options, machine))
            .map_or_else(Rates::default, Rates::from)
    }

    /// Keeps what was learnt.
    pub(crate) fn keep(&self, setup: Setup<'_>, rates: Rates) {
        self.change(|kept| {
            if rates.main.is_measured() {
                kept.main.insert(main_key(setup), rates.main);
            }
            if let Some(key) = lm_key(setup).filter(|_| rates.lm.is_measured()) {
                kept.lm.insert(key, rates.lm);
            }
            if let Some(timing) = rates.found.timing {
                kept.lyrics_timing.insert(main_key(setup), timing);
            }
            if let Some(score) = rates.found.score {
                kept.score.insert(score_key(setup), score);
            }
        });
    }

    /// A file that cannot be written costs an estimate, no song.
    fn change(&self, change: impl FnOnce(&mut Kept)) {
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever only asks has no folder of songs, and gets none for it.
        if !self.path.parent().is_some_and(Path::is_dir) {
            return;
        }
        let mut kept = self.read();
        change(&mut kept);
        let temporary = self.path.with_extension("json.part");
        let written = serde_json::to_vec_pretty(&kept)
            .map_err(std::io::Error::other)
            .and_then(|bytes| fs::write(&temporary, bytes))
            .and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            warn!("{} cannot be written: {error}", self.path.display());
        }
    }
}

/// Where networks run and in what precision, as far as their pace hangs on it.
fn place(options: &LoadOptions, free: Free) -> String {
    let device = match options.device {
        DeviceKind::Cpu => format!("{} threads", free.threads),
        // Cards of one size are taken for the same.
        card => format!(
            "{card:?} of {} GiB",
            (free.device + free.others).div_ceil(1 << 30)
        ),
    };
    let precision = if options.full_precision { ", f32" } else { "" };
    format!("{device}, {}{precision}", options.quantization.as_str())
}

fn main_key((models, options, free): Setup<'_>) -> String {
    format!(
        "{}, {}, {}{}{}",
        models.name,
        place(options, free),
        if options.fused_attention {
            "fused attention"
        } else {
            "standard attention"
        },
        if options.compile { ", compiled" } else { "" },
        match (options.offload_to_cpu, options.offload_dit_to_cpu) {
            (false, _) => "",
            (true, false) => ", offload",
            (true, true) => ", offload with DiT",
        }
    )
}

fn score_key(setup: Setup<'_>) -> String {
    let main = main_key(setup);
    match setup.0.lm_name() {
        Some(lm) => format!("{main}; {lm}"),
        None => main,
    }
}

fn lm_key((models, options, free): Setup<'_>) -> Option<String> {
    let offload = if options.offload_to_cpu {
        ", offload"
    } else {
        ""
    };
    models
        .lm_name()
        .map(|name| format!("{name}, {}{offload}", place(options, free)))
}

/// What songs by `params`, settled, need with `models`, which nobody has to load for it; how long they
/// take by what was kept in the folder of songs `output_dir`, else estimated. They bring along what is
/// `brought`.
pub fn needs_of_songs(
    output_dir: &Path,
    setup: (&Models, &LoadOptions, Free),
    params: &GenerationParams,
    brought: Brought,
) -> RunPlan {
    let (models, options, free) = setup;
    let heard_secs = brought.source_secs + REFERENCE_SECS * params.reference_audio.len() as f64;
    let lm_has_codes = models.lm_name().map(|_| models.lm_has_codes());
    let amount = Amount::beside(params, models.family, lm_has_codes);
    let time = Paces::new(output_dir)
        .rates(setup)
        .time(amount.hearing(heard_secs));
    let work = Work::of(params, models).with(brought);
    run_plan(models, options, (work, time), free)
}

#[cfg(test)]
mod tests {
    use acestep_domain::job::JobKind;

    use super::*;
    use crate::pace::Measured;

    fn params(secs: f64) -> GenerationParams {
        GenerationParams {
            duration_secs: Some(secs),
            batch_size: 1,
            inference_steps: 8,
            ..GenerationParams::default()
        }
    }

    const FREE: Free = Free {
        host: 64 << 30,
        device: 0,
        others: 0,
        largest_others: |_| Vec::new(),
        threads: 2,
    };

    fn needs(place: &Path, models: &Models, options: &LoadOptions, secs: f64) -> RunPlan {
        needs_of_songs(
            place,
            (models, options, FREE),
            &params(secs),
            Brought::default(),
        )
    }

    #[test]
    fn what_a_run_took_is_known_to_the_next_program() {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::released("acestep-v15-turbo");
        let options = LoadOptions::default();
        let time = |secs| needs(folder.path(), &models, &options, secs).time;
        let estimated = time(30.0).unwrap();
        assert!(!estimated.measured && estimated.total > 0.0);

        let paces = Paces::new(folder.path());
        let setup = (&models, &options, FREE);
        let mut rates = paces.rates(setup);
        let measured = Measured {
            prepare_secs: 2.0,
            diffusion_secs: 80.0,
            decode_secs: 16.0,
            save_secs: 1.0,
            ..Measured::default()
        };
        rates.learn(Amount::beside(&params(30.0), models.family, None), measured);
        paces.keep(setup, rates);
        let known = time(60.0).unwrap();
        assert!(known.measured, "{known:?}");
        assert!(
            (known.total - (2.0 + 160.0 + 32.0 + 2.0)).abs() < 1e-6,
            "{known:?}"
        );
        rates.learn_finding_out(JobKind::LyricsTiming, 30.0, 3.0);
        paces.keep(setup, rates);
        let found = paces.rates(setup).found;
        assert_eq!((found.timing, found.score), (Some(0.1), None));
        // Another way to load it has a pace of its own, and so have other threads.
        let moved = LoadOptions {
            offload_to_cpu: true,
            ..options
        };
        let wide = LoadOptions {
            full_precision: true,
            ..options
        };
        let compiled = LoadOptions {
            compile: true,
            ..options
        };
        let alone = Free { threads: 1, ..FREE };
        for (options, free) in [
            (moved, FREE),
            (wide, FREE),
            (compiled, FREE),
            (options, alone),
        ] {
            let setup = (&models, &options, free);
            let other =
                needs_of_songs(folder.path(), setup, &params(60.0), Brought::default()).time;
            assert!(!other.unwrap().measured, "{options:?} {free:?}");
        }
    }

    #[test]
    fn a_damaged_file_is_begun_anew_and_a_folder_is_not_made_for_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        let models = Models::released("acestep-v15-turbo");
        let options = LoadOptions::default();
        let of = |place: &Path| needs(place, &models, &options, 30.0).time;
        assert!(of(folder.path()).is_some());
        let nowhere = folder.path().join("none");
        assert!(of(&nowhere).is_some() && !nowhere.exists());
    }
}
