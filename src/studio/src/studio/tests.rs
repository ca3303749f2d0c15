//! The studio on a scripted engine: what a caller sees, whatever the engine does. Nothing here waits
//! for a clock: the script stops at gates, and the tests follow the job's own events.

mod again;
mod events;
mod full_disk;
mod jobs;
mod language_model;
mod listening;
mod memory;
mod recordings;
mod repeat;
mod restart;
mod service;
mod songs;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
};

use acestep_domain::{
    Note, SongPlan,
    capabilities::{Capabilities, ModelEntry},
    event::{EventKind, JobEvent, Stage},
    job::{Job, JobKind, JobState},
    library::Report,
    lora::LoraUse,
    metadata::Bpm,
    service::{LoadedLm, LoadedModel, Resolved, ServiceConfig},
    task::{Family, TaskType},
    tier::{GpuTier, Vram},
};
use acestep_engine::{
    audio::Audio,
    error::{Error as EngineError, Result as EngineResult},
    observer::{Observer, Writing},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Studio, StudioOptions};
use crate::{
    backend::{
        AlignRequest, Aligned, Backend, Found, Loaded, LoadedLanguageModel, Memory, Request,
        RunReport, ScoreSong, Scored, Survey, Take, Thinking, Thought, UsedLoras, WriteReport,
        WriteRequest,
    },
    download::DownloadOptions,
    error::{Error, Result},
};

/// What the scripted engine does at its next run or load.
enum Act {
    /// Stops at a gate after its first step, then looks at the cancel flag and works on.
    Wait(Gate),
    /// Gives the first song of the batch, then stops at a gate.
    WaitAfterOne(Gate),
    /// Fails.
    Fail(EngineError),
    /// Panics.
    Panic(&'static str),
    /// Stops at a gate, then panics.
    WaitAndPanic(Gate),
}

/// The engine's side of a gate.
struct Gate {
    arrived: Sender<()>,
    go: Receiver<()>,
}

/// The test's side of a gate.
struct Keeper {
    arrived: Receiver<()>,
    go: Sender<()>,
}

fn gate() -> (Gate, Keeper) {
    let (arrived, has_arrived) = channel();
    let (go, may_go) = channel();
    (
        Gate {
            arrived,
            go: may_go,
        },
        Keeper {
            arrived: has_arrived,
            go,
        },
    )
}

impl Gate {
    fn pass(&self) {
        self.arrived.send(()).unwrap();
        // A test that failed and went away opens the gate as well.
        self.go.recv().ok();
    }
}

impl Keeper {
    /// Waits until the engine stands at the gate.
    fn wait(&self) {
        self.arrived.recv().unwrap();
    }

    fn open(&self) {
        self.go.send(()).unwrap();
    }
}

/// What the engine was told to do and what it did.
#[derive(Default)]
struct Script {
    checks: VecDeque<Act>,
    loads: VecDeque<Act>,
    runs: VecDeque<Act>,
    loaded: Vec<String>,
    lm_loads: VecDeque<Act>,
    /// Names of language models, empty where one was given up.
    lms: Vec<String>,
    /// Language models know no audio codes.
    no_codes: bool,
    texts: VecDeque<Act>,
    requests: Vec<Request>,
    memory: Option<Memory>,
}

struct Scripted(Arc<Mutex<Script>>);

const STEPS: usize = 4;

fn perform(act: Option<Act>, observer: &dyn Observer) -> EngineResult<()> {
    match act {
        None | Some(Act::WaitAfterOne(_)) => {}
        Some(Act::Wait(gate)) => gate.pass(),
        Some(Act::Fail(error)) => return Err(error),
        Some(Act::Panic(message)) => panic!("{message}"),
        Some(Act::WaitAndPanic(gate)) => {
            gate.pass();
            panic!("after the gate");
        }
    }
    observer.check()
}

impl Backend for Scripted {
    fn check(&self, _: &Resolved) -> EngineResult<()> {
        let act = self.0.lock().unwrap().checks.pop_front();
        perform(act, &acestep_engine::observer::Silent)
    }

    fn check_lm(&self, wanted: &Resolved) -> EngineResult<()> {
        match wanted.lm() {
            Some("nope") => Err(EngineError::checkpoint(
                "checkpoints/nope",
                "the folder is missing; there are a, b",
            )),
            _ => Ok(()),
        }
    }

    fn load(&mut self, wanted: &Resolved, observer: &dyn Observer) -> EngineResult<Loaded> {
        let act = self.0.lock().unwrap().loads.pop_front();
        observer.progress(Stage::Load, 0, 1, 2);
        perform(act, observer)?;
        observer.progress(Stage::Load, 0, 2, 2);
        self.0
            .lock()
            .unwrap()
            .loaded
            .push(wanted.config_path.clone());
        Ok(Loaded {
            model: LoadedModel {
                name: wanted.config_path.clone(),
                family: Family::from_name(&wanted.config_path),
                tasks: vec![TaskType::Text2music],
                built_in: false,
                sample_rate_hz: RATE_HZ,
                channels: 2,
                parameters: 1,
                weights_bytes: 4,
                dtype: "f32".to_owned(),
                attention: "fused".to_owned(),
                audio_codes: wanted.config_path == TURBO,
                times_lyrics: wanted.config_path == TURBO,
            },
            notes: vec![Note::general(
                "unused_tensors",
                "Two tensors were not used.",
            )],
        })
    }

    fn load_lm(
        &mut self,
        wanted: &Resolved,
        observer: &dyn Observer,
    ) -> EngineResult<Option<LoadedLanguageModel>> {
        let act = self.0.lock().unwrap().lm_loads.pop_front();
        perform(act, observer)?;
        let name = wanted.lm().map(str::to_owned);
        let mut script = self.0.lock().unwrap();
        script.lms.push(name.clone().unwrap_or_default());
        let has_codes = !script.no_codes;
        Ok(name.map(|name| LoadedLanguageModel {
            lm: LoadedLm {
                name,
                built_in: false,
                parameters: 1,
                weights_bytes: 4,
                dtype: "f32".to_owned(),
                context_tokens: 8192,
                has_codes,
            },
            notes: Vec::new(),
        }))
    }

    fn survey(&self) -> Survey {
        let script = Arc::clone(&self.0);
        Box::new(move |_| Ok(script.lock().unwrap().memory.clone()))
    }

    fn unload(&mut self) {}

    /// With a language model: plans 92 BPM and twenty seconds, and a code for every seed.
    fn think(&mut self, thinking: Thinking<'_>, observer: &dyn Observer) -> EngineResult<Thought> {
        let has_lm = self
            .0
            .lock()
            .unwrap()
            .lms
            .last()
            .is_some_and(|name| !name.is_empty());
        let mut params = thinking.params.clone();
        let mut thought = Thought {
            params: params.clone(),
            plan: None,
            codes: Vec::new(),
            notes: Vec::new(),
            plan_secs: 0.5,
            codes_secs: 0.0,
        };
        if !has_lm {
            return Ok(thought);
        }
        let act = self.0.lock().unwrap().texts.pop_front();
        write_words(observer);
        perform(act, observer)?;
        if params.lm_plans() {
            params.bpm = params.bpm.or(Some(Bpm(92)));
            params.duration_secs = params.duration_secs.or(Some(20.0));
            let plan = SongPlan {
                bpm: params.bpm,
                caption: "A warm piano.".to_owned(),
                ..SongPlan::default()
            };
            observer.planned(&plan);
            thought.plan = Some(plan);
        }
        if params.lm_writes_codes() {
            thought.codes = thinking.seeds.iter().map(|seed| vec![*seed % 9]).collect();
        }
        thought.params = params;
        Ok(thought)
    }

    /// Writes a plan around the caption; hears one code.
    fn write(
        &mut self,
        request: &WriteRequest<'_>,
        observer: &dyn Observer,
    ) -> EngineResult<WriteReport> {
        let act = self.0.lock().unwrap().texts.pop_front();
        write_words(observer);
        perform(act, observer)?;
        let heard = if request.source.is_some() {
            vec![7]
        } else {
            Vec::new()
        };
        let plan = SongPlan {
            caption: format!("{}, at length", request.params.caption),
            lyrics: "[Verse]\nla".to_owned(),
            bpm: Some(Bpm(92)),
            duration_secs: Some(20),
            ..SongPlan::default()
        };
        let plan = (request.kind != JobKind::Encode).then_some(plan);
        if let Some(plan) = &plan {
            observer.planned(plan);
        }
        Ok(WriteReport {
            plan,
            audio_codes: heard,
            notes: Vec::new(),
        })
    }

    fn use_loras(&mut self, uses: &[LoraUse], _: &dyn Observer) -> EngineResult<UsedLoras> {
        Ok(UsedLoras {
            loras: uses.to_vec(),
            notes: Vec::new(),
        })
    }

    fn align(&mut self, asked: &AlignRequest<'_>, to: &dyn Observer) -> EngineResult<Aligned> {
        listening::align(&self.0, asked, to)
    }

    fn score(&mut self, asked: &ScoreSong<'_>, to: &dyn Observer) -> EngineResult<Scored> {
        listening::score(&self.0, asked, to)
    }

    fn generate(
        &mut self,
        request: &Request,
        observer: &dyn Observer,
        sink: &mut dyn FnMut(Take) -> EngineResult<()>,
    ) -> EngineResult<RunReport> {
        let act = {
            let mut script = self.0.lock().unwrap();
            script.requests.push(request.clone());
            script.runs.pop_front()
        };
        observer.progress(Stage::Prepare, 0, 1, 1);
        observer.progress(Stage::Diffusion, 0, 1, STEPS);
        let after_one = match act {
            Some(Act::WaitAfterOne(gate)) => Some(gate),
            act => {
                perform(act, observer)?;
                None
            }
        };
        for step in 2..=STEPS {
            observer.progress(Stage::Diffusion, 0, step, STEPS);
        }
        for (item, &seed) in request.seeds.iter().enumerate() {
            observer.check()?;
            observer.progress(Stage::Decode, item, 1, 1);
            sink(take(item, seed))?;
            if item == 0
                && let Some(gate) = &after_one
            {
                gate.pass();
            }
        }
        Ok(RunReport {
            notes: vec![Note::new("lyrics_cut", "lyrics", "Lyrics: cut.")],
            steps: STEPS,
            prepare_secs: 1.0,
            diffusion_secs: 4.0,
        })
    }
}

fn write_words(observer: &dyn Observer) {
    observer.writing(&Writing {
        field: "caption",
        text: "A warm",
        tokens: 2,
        total: None,
        tokens_per_sec: 10.0,
        secs_left: None,
    });
}

const RATE_HZ: u32 = 8000;

/// Half a second of a tone that depends on the seed.
fn take(item: usize, seed: u32) -> Take {
    let tone = |scale: f32| {
        (0..RATE_HZ / 2)
            .map(|i| scale * (i as f32 * (0.1 + (seed % 7) as f32 * 0.01)).sin())
            .collect::<Vec<f32>>()
    };
    Take {
        item,
        seed,
        audio: Audio {
            channels: vec![tone(0.8), tone(0.4)],
            sample_rate_hz: RATE_HZ,
        },
        latents: None,
        report: Report {
            peak: 0.8,
            gain: 1.0,
            ..Report::default()
        },
    }
}

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
