//! `acestep lyrics` and `acestep score`: what can be found out about a song that was made by this program,
//! from its file and the parameters in it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use acestep_domain::{
    GenerationParams, Note, SongPlan, UserError,
    generation::{AudioFormat, read::params_from_json},
    library::recipe,
    saved::{self, STUDIO},
    service::Resolved,
    task::TaskType,
    timed_lyrics::{LyricLine, LyricsFormat, Scores, check_sung},
};
use acestep_engine::{
    audio::{
        decode::{self, Limit},
        tags,
    },
    checkpoint::Checkpoint,
    engine::{AlignRequest, Engine, Heard, LoadOptions, Request, ScoreSong},
};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{
    files::{check_place, format_of, write_safely},
    generate::{load, settle_service},
    machine::machine,
    output::{Failure, fail, read_json, say, say_json, tell_notes},
    service::{LoraArgs, ServiceArgs},
    values,
};
use crate::{env::Environment, progress::Bar};

/// The song, what it was made of, and what hears it.
#[derive(Debug, Args)]
pub(crate) struct SongArgs {
    /// The song: a .wav, .flac or .mp3 that this program made
    #[arg(value_name = "FILE")]
    song: PathBuf,
    /// Parameters it was made with, as JSON, in place of those in the file; `-` reads stdin
    #[arg(long, value_name = "FILE|-")]
    params: Option<PathBuf>,
    /// The recording that it was made from (src_audio), where it was made from one
    #[arg(long = "src_audio", alias = "src-audio", value_name = "FILE")]
    src_audio: Option<PathBuf>,
    /// A recording whose sound it took on (reference_audio); may be given several times
    #[arg(
        long = "reference_audio",
        alias = "reference-audio",
        value_name = "FILE"
    )]
    reference_audio: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    loras: LoraArgs,
}

/// Lyrics to be timed.
#[derive(Debug, Args)]
pub(crate) struct LyricsArgs {
    /// lrc, vtt or srt [default: by --output, else lrc]
    #[arg(long, value_name = "FORMAT", value_parser = values::lyrics_format)]
    format: Option<LyricsFormat>,
    /// Where they go [default: stdout]
    #[arg(long, value_name = "F")]
    output: Option<PathBuf>,
    #[command(flatten)]
    song: SongArgs,
}

/// A song to be scored.
#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// What differences are divided by, 0.01 to 1: lower is more sensitive
    #[arg(
        long = "score_scale",
        alias = "score-scale",
        value_name = "X",
        default_value_t = 0.5,
        value_parser = values::score_scale
    )]
    score_scale: f64,
    #[command(flatten)]
    song: SongArgs,
}

/// What is told of lyrics.
#[derive(Debug, Serialize)]
struct Timed {
    lyric_lines: Vec<LyricLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<PathBuf>,
    notes: Vec<Note>,
}

/// What is told of scores.
#[derive(Debug, Serialize)]
struct Scored {
    scores: Scores,
    notes: Vec<Note>,
}

/// Times and prints or writes.
pub(crate) fn lyrics(args: &LyricsArgs, environment: &Environment) -> ExitCode {
    let json = args.song.json;
    match timed(args, environment) {
        Ok((timed, text)) => {
            tell_notes(&timed.notes);
            match (json, &timed.output) {
                (true, _) => say_json(&timed),
                (false, Some(path)) => {
                    say(&format!(
                        "{}  {} lines",
                        path.display(),
                        timed.lyric_lines.len()
                    ));
                }
                (false, None) => say(text.trim_end()),
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, json),
    }
}

fn timed(args: &LyricsArgs, environment: &Environment) -> Result<(Timed, String), Failure> {
    let format = match (args.format, &args.output) {
        (Some(format), _) => format,
        (None, Some(path)) => lyrics_format_of(path)?,
        (None, None) => LyricsFormat::Lrc,
    };
    args.output.as_deref().map_or(Ok(()), check_place)?;
    let mut heard = args.song.hear(environment, false)?;
    check_sung(&heard.request.params)?;
    let bar = Bar::new();
    let asked = AlignRequest {
        request: &heard.request,
        heard: heard.sound,
        with_scores: false,
    };
    let aligned = heard
        .loaded
        .load(&args.song, &bar, &mut heard.notes)
        .and_then(|mut engine| Ok(engine.align(&asked, &bar)?));
    bar.clear();
    let aligned = aligned?;
    heard.notes.extend(aligned.notes);
    let text = format.write(&aligned.lines);
    if let Some(path) = &args.output {
        write_safely(path, |partial| {
            std::fs::write(partial, &text).map_err(|error| Failure::io(path, "written", &error))
        })?;
    }
    let timed = Timed {
        lyric_lines: aligned.lines,
        output: args.output.clone(),
        notes: heard.notes,
    };
    Ok((timed, text))
}

fn lyrics_format_of(path: &Path) -> Result<LyricsFormat, Failure> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    extension
        .as_deref()
        .and_then(LyricsFormat::from_name)
        .ok_or_else(|| {
            Failure::input(UserError::invalid(
                "output",
                format!("{} has no extension of timed lyrics.", path.display()),
                "Let it end in .lrc, .vtt or .srt, or say --format.",
            ))
        })
}

/// Scores and prints.
pub(crate) fn score(args: &ScoreArgs, environment: &Environment) -> ExitCode {
    let json = args.song.json;
    match scored(args, environment) {
        Ok(scored) => {
            tell_notes(&scored.notes);
            if json {
                say_json(&scored);
            } else {
                say(&spelt(&scored.scores));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, json),
    }
}

fn scored(args: &ScoreArgs, environment: &Environment) -> Result<Scored, Failure> {
    let mut heard = args.song.hear(environment, true)?;
    let bar = Bar::new();
    let asked = ScoreSong {
        request: &heard.request,
        heard: heard.sound,
        scale: args.score_scale,
    };
    let scored = heard
        .loaded
        .load(&args.song, &bar, &mut heard.notes)
        .and_then(|mut engine| Ok(engine.score(&asked, &bar)?));
    bar.clear();
    let scored = scored?;
    heard.notes.extend(scored.notes);
    Ok(Scored {
        scores: scored.scores,
        notes: heard.notes,
    })
}

/// A figure a line, those that are there.
fn spelt(scores: &Scores) -> String {
    let line = |name: &str, value: Option<f64>| value.map(|value| format!("{name:<22}{value:.4}"));
    let metadata = scores
        .metadata
        .iter()
        .map(|(name, value)| line(name, Some(*value)));
    let alignment = scores.alignment;
    [
        line("Global", scores.global),
        line("Caption", scores.caption),
        line("Lyrics", scores.lyrics),
    ]
    .into_iter()
    .chain(metadata)
    .chain([
        line("Sung clearly (song)", alignment.map(|it| it.dit_score)),
        line("Sung clearly (codes)", alignment.map(|it| it.lm_score)),
    ])
    .flatten()
    .collect::<Vec<_>>()
    .join("\n")
}

/// A song that was read, and what is to hear it.
struct SongRead {
    request: Request,
    sound: Heard,
    loaded: Models,
    notes: Vec<Note>,
}

/// What is to be loaded.
struct Models {
    root: PathBuf,
    resolved: Resolved,
    params: GenerationParams,
}

impl SongArgs {
    /// Reads everything; nothing is loaded yet.
    fn hear(&self, environment: &Environment, with_lm: bool) -> Result<SongRead, Failure> {
        let saved = match &self.params {
            Some(path) => read_json(path)?,
            None => saved_in(&self.song)?,
        };
        let (params, mut notes) =
            params_from_json(&saved, GenerationParams::default())?.strict()?;
        let studio = &saved[STUDIO];
        let plan: Option<SongPlan> = serde_json::from_value(studio["plan"].clone()).ok();
        let codes = studio["audio_codes"].as_str().unwrap_or_default();
        let mut params = recipe(params, plan.as_ref(), codes);
        let sound = decode::from_path(&self.song, Limit::song())?;
        notes.extend(sound.notes);
        let gain = saved::gain(&saved).unwrap_or(1.0);

        let mut read = |path: &Path, field: &str| -> Result<_, Failure> {
            let decoded = decode::from_path(path, Limit::song())
                .map_err(|error| Failure::from(error).about(field))?;
            notes.extend(decoded.notes);
            Ok(decoded.audio)
        };
        let source = self.src_audio.as_deref();
        let source = source.map(|path| read(path, "src_audio")).transpose()?;
        let references = self
            .reference_audio
            .iter()
            .map(|path| read(path, "reference_audio"))
            .collect::<Result<Vec<_>, _>>()?;
        let without = |field: &str| {
            Note::new(
                "recording_gone",
                field,
                format!(
                    "{field}: the song was made from a recording that was not given, so it is heard without it; --{field} names it."
                ),
            )
        };
        if params.works_on_source() && source.is_none() {
            notes.push(without("src_audio"));
            params.task_type = TaskType::Text2music;
            params.src_audio = None;
        }
        if references.is_empty() && !params.reference_audio.is_empty() {
            notes.push(without("reference_audio"));
        }

        let (capabilities, more) = machine(environment, &self.service);
        notes.extend(more);
        let (resolved, more) = settle_service(&self.service, with_lm, environment, &capabilities)?;
        notes.extend(more);
        // Where nobody says, the song is heard by whatever is preferred.
        if let Some(model) = studio["model"]
            .as_str()
            .filter(|model| *model != resolved.config_path)
        {
            notes.push(Note::new(
                "other_model",
                "config_path",
                format!(
                    "Main model: the song was made by {model} and is heard by {}; --config_path names another.",
                    resolved.config_path
                ),
            ));
        }
        let seeds = vec![params.seeds.first().copied().unwrap_or_default()];
        Ok(SongRead {
            loaded: Models {
                root: self.service.root(),
                resolved,
                params: params.clone(),
            },
            request: Request {
                params,
                seeds,
                source,
                references,
                ..Request::default()
            },
            sound: Heard::Sound {
                audio: sound.audio,
                gain,
            },
            notes,
        })
    }
}

impl Models {
    /// Loads the main model with the song's adapters, and the language model where one is wanted.
    fn load(&self, args: &SongArgs, bar: &Bar, notes: &mut Vec<Note>) -> Result<Engine, Failure> {
        let checkpoint = Checkpoint::open(&self.root, &self.resolved.config_path)?;
        let options = LoadOptions::from(&self.resolved);
        let loras = self.params.loras.as_deref().unwrap_or_default();
        let from = (&args.service, &args.loras);
        let (engine, more) = load((&checkpoint, loras), from, &self.resolved, options, bar)?;
        notes.extend(engine.info().notes.iter().cloned());
        notes.extend(more);
        Ok(engine)
    }
}

/// The parameters in the tags of a song, else in the JSON beside it.
fn saved_in(song: &Path) -> Result<Value, Failure> {
    let format: AudioFormat = format_of(song).map_err(|failure| failure.about("song"))?;
    let tags = tags::read(song, format)?;
    if let Some(json) = tags.params_json
        && let Ok(saved) = serde_json::from_str(&json)
    {
        return Ok(saved);
    }
    let beside = song.with_extension("json");
    if beside.is_file() {
        return read_json(&beside);
    }
    Err(Failure::input(UserError::invalid(
        "params",
        format!("{} does not say how it was made.", song.display()),
        "Give the parameters it was made with: --params FILE.",
    )))
}
