//! An engine that does what its script says.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
};

use acestep_domain::{
    Note, SongPlan,
    capabilities::DeviceKind,
    event::Stage,
    job::JobKind,
    library::Report,
    lora::LoraUse,
    metadata::Bpm,
    service::{LoadedLm, LoadedModel, Resolved},
    task::{Family, TaskType},
};
use acestep_engine::{
    audio::Audio,
    error::{Error as EngineError, Result as EngineResult},
    observer::{Observer, Writing},
};

use super::{TURBO, listening};
use crate::backend::{
    AlignRequest, Aligned, Backend, Loaded, LoadedLanguageModel, Memory, Request, RunReport,
    ScoreSong, Scored, Survey, Take, Thinking, Thought, UsedLoras, WriteReport, WriteRequest,
};

/// What the scripted engine does at its next run or load.
pub(super) enum Act {
    /// Stops at a gate after its first step, then looks at the cancel flag and works on.
    Wait(Gate),
    /// Gives the first song of the batch, or all the words, then stops at a gate and looks no more at the
    /// cancel flag for them.
    WaitAfterOne(Gate),
    /// Fails.
    Fail(EngineError),
    /// Panics.
    Panic(&'static str),
    /// Stops at a gate, then panics.
    WaitAndPanic(Gate),
}

/// The engine's side of a gate.
pub(super) struct Gate {
    arrived: Sender<()>,
    go: Receiver<()>,
}

/// The test's side of a gate.
pub(super) struct Keeper {
    arrived: Receiver<()>,
    go: Sender<()>,
}

pub(super) fn gate() -> (Gate, Keeper) {
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
    pub(super) fn pass(&self) {
        self.arrived.send(()).unwrap();
        // A test that failed and went away opens the gate as well.
        self.go.recv().ok();
    }
}

impl Keeper {
    /// Waits until the engine stands at the gate.
    pub(super) fn wait(&self) {
        self.arrived.recv().unwrap();
    }

    pub(super) fn open(&self) {
        self.go.send(()).unwrap();
    }
}

/// What the engine was told to do and what it did.
#[derive(Default)]
pub(super) struct Script {
    pub(super) checks: VecDeque<Act>,
    pub(super) loads: VecDeque<Act>,
    pub(super) runs: VecDeque<Act>,
    pub(super) loaded: Vec<String>,
    pub(super) lm_loads: VecDeque<Act>,
    /// Names of language models, empty where one was given up.
    pub(super) lms: Vec<String>,
    /// Language models know no audio codes.
    pub(super) no_codes: bool,
    /// Seconds that each plan of a song may have at most.
    pub(super) longest: Vec<u32>,
    pub(super) texts: VecDeque<Act>,
    pub(super) requests: Vec<Request>,
    pub(super) memory: Option<Memory>,
    /// In f32 on a card, where that is another matter.
    pub(super) memory_in_f32: Option<Memory>,
    /// Nothing can be surveyed.
    pub(super) no_survey: bool,
    /// Adapters of each run.
    pub(super) uses: Vec<Vec<LoraUse>>,
}

pub(super) struct Scripted(pub(super) Arc<Mutex<Script>>);

pub(super) const STEPS: usize = 4;

pub(super) fn perform(act: Option<Act>, observer: &dyn Observer) -> EngineResult<()> {
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
                dtype: if wanted.device == DeviceKind::Cpu || wanted.full_precision {
                    "f32".to_owned()
                } else {
                    "bf16".to_owned()
                },
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
        Box::new(move |wanted| {
            let script = script.lock().unwrap();
            if script.no_survey {
                return Err(EngineError::checkpoint("x/config.json", "it was changed"));
            }
            let wide = script.memory_in_f32.as_ref();
            let wide = wide.filter(|_| wanted.full_precision);
            Ok(wide.or(script.memory.as_ref()).cloned())
        })
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
            let longest = &mut self.0.lock().unwrap().longest;
            longest.push(thinking.max_duration_secs);
            params.bpm = params.bpm.or(Some(Bpm(92)));
            params.duration_secs = params.duration_secs.or(Some(20.0));
            let plan = SongPlan {
                bpm: params.bpm,
                duration_secs: params.duration_secs.map(|secs| secs as u32),
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
        let at_end = match act {
            Some(Act::WaitAfterOne(gate)) => Some(gate),
            act => {
                perform(act, observer)?;
                None
            }
        };
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
        if let Some(gate) = at_end {
            gate.pass();
        }
        Ok(WriteReport {
            plan,
            audio_codes: heard,
            notes: Vec::new(),
        })
    }

    fn use_loras(&mut self, uses: &[LoraUse], _: &dyn Observer) -> EngineResult<UsedLoras> {
        self.0.lock().unwrap().uses.push(uses.to_vec());
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

pub(super) fn write_words(observer: &dyn Observer) {
    observer.writing(&Writing {
        field: "caption",
        text: "A warm",
        tokens: 2,
        total: None,
        tokens_per_sec: 10.0,
        secs_left: None,
    });
}

pub(super) const RATE_HZ: u32 = 8000;

/// Half a second of a tone that depends on the seed.
pub(super) fn take(item: usize, seed: u32) -> Take {
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
