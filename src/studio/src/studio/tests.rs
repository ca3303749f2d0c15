//! The studio on a scripted engine: what a caller sees, whatever the engine does. Nothing here waits
//! for a clock: the script stops at gates, and the tests follow the job's own events.

mod again;
mod events;
mod full_disk;
mod jobs;
mod language_model;
mod listening;
mod memory;
mod precision;
mod recordings;
mod repeat;
mod restart;
mod scripted;
mod service;
mod songs;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use acestep_domain::{
    Note,
    capabilities::{Capabilities, DeviceKind, ModelEntry},
    event::{EventKind, JobEvent, Stage},
    job::{Job, JobKind, JobState},
    lora::LoraUse,
    metadata::Bpm,
    service::ServiceConfig,
    task::{Family, TaskType},
    tier::{GpuTier, Vram},
};
use acestep_engine::{
    audio::Audio,
    error::{Error as EngineError, Result as EngineResult},
    observer::Observer,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::scripted::{Act, Keeper, STEPS, Script, Scripted, gate, perform, take};
use super::{Studio, StudioOptions};
use crate::{
    backend::Found,
    download::DownloadOptions,
    error::{Error, Result},
};

/// A studio on the scripted engine, in a folder of its own.
struct Fixture {
    studio: Studio,
    script: Arc<Mutex<Script>>,
    folder: TempDir,
}

const TURBO: &str = "acestep-v15-turbo";
const BASE: &str = "acestep-v15-base";
const LM: &str = "acestep-5Hz-lm-0.6B";
const LARGE_LM: &str = "acestep-5Hz-lm-4B";

fn options(output_dir: &Path) -> StudioOptions {
    StudioOptions {
        output_dir: output_dir.to_owned(),
        checkpoints_dir: output_dir.join("checkpoints"),
        lora_dir: output_dir.join("loras"),
        capabilities: Capabilities {
            tier: GpuTier::Tier4,
            vram: Vram {
                total_gib: 8.0,
                simulated: true,
            },
            ..Capabilities::default()
        },
        notes: vec![Note::general("vram_simulated", "VRAM: 8 GB, simulated.")],
        requested: ServiceConfig::default(),
        unlimited: false,
        queue_limit: 2,
        version: "1.2.3".to_owned(),
        pre_initialized: false,
        service_mode: false,
        downloads: DownloadOptions::default(),
    }
}

fn found() -> Found {
    let entry = |name: &str| ModelEntry {
        name: name.to_owned(),
        family: Family::from_name(name),
        size_bytes: 1,
        built_in: false,
        problem: None,
    };
    Found {
        models: vec![entry(TURBO), entry(BASE)],
        lms: vec![(LM.to_owned(), 7), (LARGE_LM.to_owned(), 9)],
        ..Found::default()
    }
}

fn open(output_dir: &Path) -> Result<(Studio, Arc<Mutex<Script>>)> {
    let script = Arc::new(Mutex::new(Script::default()));
    let studio = Studio::open_with(
        options(output_dir),
        Box::new(Scripted(Arc::clone(&script))),
        Box::new(|_| found()),
    )?;
    Ok((studio, script))
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let (studio, script) = open(folder.path()).unwrap();
    Fixture {
        studio,
        script,
        folder,
    }
}

/// With the turbo model loaded.
fn ready() -> Fixture {
    let fixture = fixture();
    load(&fixture.studio, TURBO).unwrap();
    fixture
}

/// With the turbo model and the small language model loaded.
fn ready_with_lm() -> Fixture {
    let fixture = fixture();
    wait_for(fixture.studio.initialize_and_wait(with_lm(LM))).unwrap();
    fixture
}

fn with_lm(name: &str) -> ServiceConfig {
    ServiceConfig {
        init_llm: Some(true),
        lm_model_path: Some(name.to_owned()),
        ..asking_for(TURBO)
    }
}

fn asking_for(name: &str) -> ServiceConfig {
    ServiceConfig {
        config_path: Some(name.to_owned()),
        ..ServiceConfig::default()
    }
}

/// Loads `name` and waits until it is loaded.
fn load(studio: &Studio, name: &str) -> Result<acestep_domain::service::ServiceStatus> {
    wait_for(studio.initialize_and_wait(asking_for(name)))
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn song() -> Value {
    json!({ "caption": "warm lofi piano", "duration": 10, "batch_size": 1, "audio_format": "wav" })
}

fn with(mut params: Value, key: &str, value: impl Into<Value>) -> Value {
    params[key] = value.into();
    params
}

impl Fixture {
    /// The next runs go as `acts` say.
    fn play(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().runs.extend(acts);
    }

    /// The next run stops at the gate that is returned.
    fn hold(&self) -> Keeper {
        let (gate, keeper) = gate();
        self.play([Act::Wait(gate)]);
        keeper
    }

    /// The next run stops at the gate that is returned after its first song, which is its last look.
    fn hold_at_end(&self) -> Keeper {
        let (gate, keeper) = gate();
        self.play([Act::WaitAfterOne(gate)]);
        keeper
    }

    /// An adapter is in use, or none.
    fn use_lora(&self, name: Option<&str>) {
        let uses = name.map(|name| LoraUse::new(name, 1.0));
        let service = &self.studio.shared().service;
        service.change_loras(|loras| *loras = uses.into_iter().collect());
    }

    /// The next words stop at the gate that is returned.
    fn hold_words(&self) -> Keeper {
        let (gate, keeper) = gate();
        self.script.lock().unwrap().texts.push_back(Act::Wait(gate));
        keeper
    }

    /// Submits a job and waits for its end.
    fn run(&self, params: &Value) -> Job {
        let job = self.studio.submit(params).unwrap();
        self.end_of(&job.id)
    }

    /// Follows the job to its end.
    fn end_of(&self, id: &str) -> Job {
        follow(&self.studio, id, 0);
        self.studio.job(id).unwrap()
    }

    fn file_names(&self) -> Vec<String> {
        file_names(self.folder.path())
    }
}

/// Names in the folder without the library's own, sorted.
fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("library."))
        .collect();
    names.sort();
    names
}

/// All events of the job after `after`, up to its final state.
fn follow(studio: &Studio, id: &str, after: u64) -> Vec<JobEvent> {
    let mut subscription = studio.events(id, after).unwrap();
    let mut events = std::mem::take(&mut subscription.backlog);
    while !events.last().is_some_and(is_end) {
        events.push(subscription.live.blocking_recv().unwrap());
    }
    events
}

fn is_end(event: &JobEvent) -> bool {
    matches!(&event.kind, EventKind::State { state } if state.is_final())
}

fn states(events: &[JobEvent]) -> Vec<JobState> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::State { state } => Some(*state),
            _ => None,
        })
        .collect()
}

fn told(error: Error) -> acestep_domain::UserError {
    error.into()
}

fn codes(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.code.as_str()).collect()
}
