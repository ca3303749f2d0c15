//! A request of the official program as one of the studio: the same fields, their defaults, and what is asked
//! of the language model first.

use acestep_domain::{
    UserError,
    generation::{GenerationParams, read::params_from_json},
    job::{Job, JobKind},
    note::Note,
    task::{TRACKS, TaskType},
};
use acestep_studio::Studio;
use serde_json::{Map, Value, json};

use super::{
    fields::{Fields, PARAMETERS, says_something},
    form::Form,
    hints,
    recordings::ids,
};
use crate::api::error::ApiError;

/// Where the official routes start from elsewhere than the studio's own (ui.md 6.3): clients that leave
/// these out rely on them.
fn defaults(studio: &Studio) -> [(&'static str, Value); 5] {
    let (_, most_takes) = studio.bounds().limits();
    [
        // No more than there can be: of what nobody asked nothing need be said.
        ("batch_size", json!(most_takes.min(2))),
        ("thinking", json!(false)),
        ("vocal_language", json!("en")),
        ("inference_steps", json!(8)),
        ("lm_cfg_scale", json!(2.5)),
    ]
}

/// A value of these that is not understood is refused; any other falls to its default, as there, with a
/// note.
const DECISIVE: [&str; 6] = [
    "task_type",
    "audio_format",
    "infer_method",
    "seed",
    "timesteps",
    "audio_codes",
];

/// How freely a recording is put into words.
const LISTENING_TEMPERATURE: f64 = 0.3;

/// What the studio is asked for.
#[derive(Debug)]
pub(super) struct Order {
    request: Value,
    notes: Vec<Note>,
    /// The run that follows what is written first.
    then: Option<Value>,
}

/// What is wanted beside a song.
#[derive(Debug, Default)]
struct Wish {
    sample: bool,
    query: Option<String>,
    format: bool,
    analysis: bool,
    full_analysis: bool,
}

impl Wish {
    fn take(fields: &mut Fields, notes: &mut Vec<Note>) -> Self {
        let mut on = |spellings: &[&str]| fields.take_switch(spellings, notes);
        let sample = on(&["sample_mode", "sampleMode"]);
        let format = on(&["use_format", "useFormat", "format"]);
        let analysis = on(&["analysis_only", "analysisOnly"]);
        let full_analysis = on(&["full_analysis_only", "fullAnalysisOnly"]);
        let query = fields.take_text(&["sample_query", "sampleQuery", "description", "desc"]);
        Self {
            sample: sample || query.is_some(),
            query,
            format,
            analysis,
            full_analysis,
        }
    }
}

impl Order {
    /// Translates a request for songs.
    ///
    /// # Errors
    /// A field that decides what is made and is not understood, or a recording that is not there.
    pub(super) fn read(studio: &Studio, form: &Form) -> Result<Self, ApiError> {
        let mut notes = Vec::new();
        let mut fields = Fields::new(form.fields.clone(), &mut notes);
        let wish = Wish::take(&mut fields, &mut notes);
        let mut request = Map::new();
        for (name, spellings) in PARAMETERS {
            if let Some(value) = fields.take(spellings) {
                request.insert((*name).to_owned(), value);
            }
        }
        name_recordings(studio, &mut fields, form, (&mut request, &mut notes))?;
        name_track(&mut fields, &mut request, &mut notes);
        note_models(studio, &mut fields, &mut notes);
        fields.pass_on(&mut request, &mut notes);
        let wants_thought = request.get("thinking").is_some();
        let sung = request
            .get("instrumental")
            .is_none_or(|on| *on != json!(true));
        let own_timesteps = request.contains_key("timesteps");
        for (name, value) in defaults(studio) {
            // Nobody sings in a language that nobody asked for, and timesteps are as many as they are.
            let acts = match name {
                "vocal_language" => sung,
                "inference_steps" => !own_timesteps,
                _ => true,
            };
            if acts {
                request.entry(name).or_insert(value);
            }
        }
        let params = understand(studio, &mut request, &mut notes)?;
        if wants_thought && params.thinking && !wish.full_analysis && !wish.analysis {
            require_lm(studio, "thinking")?;
        }
        let mut order = Self {
            request: Value::Object(request),
            notes,
            then: None,
        };
        order.turn_to(wish, &params)?;
        Ok(order)
    }

    /// Makes of a request for songs what is wished beside them.
    fn turn_to(&mut self, wish: Wish, params: &GenerationParams) -> Result<(), UserError> {
        if wish.full_analysis {
            if params.src_audio.is_none() && params.audio_codes.trim().is_empty() {
                return Err(UserError::invalid(
                    "src_audio",
                    "full_analysis_only: nothing is given to listen to.",
                    "Send a recording as the form field src_audio, or name one as src_audio_path.",
                ));
            }
            self.set("kind", json!(JobKind::Understand.as_str()));
            self.set("lm_temperature", json!(LISTENING_TEMPERATURE));
        } else if wish.analysis {
            self.set("kind", json!(JobKind::Format.as_str()));
        } else if wish.sample {
            self.sample(wish, params);
        } else if wish.format {
            self.then = Some(self.request.clone());
            self.set("kind", json!(JobKind::Format.as_str()));
            self.set("then_generate", json!(true));
        }
        Ok(())
    }

    /// The language model writes the song for a description.
    fn sample(&mut self, wish: Wish, params: &GenerationParams) {
        self.then = Some(self.request.clone());
        let used = wish.query.is_some();
        let query = wish.query.unwrap_or_else(|| params.caption.clone());
        let given = [
            ("caption", used && !params.caption.is_empty()),
            ("lyrics", !params.lyrics.is_empty()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            let message =
                format!("{field}: not used, since the song is written for a description.");
            self.notes.push(Note::new("field_ignored", field, message));
        }
        // English is what is left when nobody says; the description or the song itself decides then.
        if params.vocal_language.code() == "en" {
            let named = hints::language(&query);
            let code = named.map_or("unknown", |language| language.code());
            self.set("vocal_language", json!(code));
        }
        if hints::is_instrumental(&query) {
            self.set("instrumental", json!(true));
        }
        if let Value::Object(request) = &mut self.request {
            request.remove("lyrics");
        }
        self.set("caption", json!(query));
        self.set("kind", json!(JobKind::Sample.as_str()));
        self.set("then_generate", json!(true));
    }

    fn set(&mut self, name: &str, value: Value) {
        if let Value::Object(request) = &mut self.request {
            request.insert(name.to_owned(), value);
        }
    }

    /// Queues it; with the job come the notes of both.
    ///
    /// # Errors
    /// As [`Studio::submit`]; a run that could not follow what is written is refused before that.
    pub(super) fn submit(self, studio: &Studio) -> Result<(Job, Vec<Note>), ApiError> {
        if let Some(then) = &self.then {
            require_lm(studio, "sample_mode and use_format")?;
            studio.plan(then)?;
        }
        let job = studio.submit(&self.request)?;
        let mut notes = self.notes;
        notes.extend(job.notes.iter().cloned());
        Ok((job, notes))
    }
}

/// Reads the parameters as the studio will; what may fall to its default does, and is gone from `request`.
fn understand(
    studio: &Studio,
    request: &mut Map<String, Value>,
    notes: &mut Vec<Note>,
) -> Result<GenerationParams, UserError> {
    let value = Value::Object(request.clone());
    let read = params_from_json(&value, studio.defaults())?;
    for error in read.errors {
        let field = error.field.clone().unwrap_or_default();
        if DECISIVE.contains(&field.as_str()) || request.remove(&field).is_none() {
            return Err(error);
        }
        if let Some((name, value)) = defaults(studio)
            .into_iter()
            .find(|(name, _)| *name == field)
        {
            request.insert(name.to_owned(), value);
        }
        let message = format!("{} Its default is used.", error.message);
        notes.push(Note::new("field_unread", &field, message));
    }
    let value = Value::Object(request.clone());
    Ok(params_from_json(&value, studio.defaults())?.strict()?.0)
}

/// Puts the ids of recordings in place of files, paths and addresses.
fn name_recordings(
    studio: &Studio,
    fields: &mut Fields,
    form: &Form,
    (request, notes): (&mut Map<String, Value>, &mut Vec<Note>),
) -> Result<(), ApiError> {
    let named = [
        (
            "reference_audio",
            &["reference_audio", "ref_audio"][..],
            &[
                "reference_audio_path",
                "ref_audio_path",
                "referenceAudioPath",
                "refAudioPath",
            ][..],
        ),
        (
            "src_audio",
            &["src_audio", "ctx_audio"],
            &[
                "src_audio_path",
                "ctx_audio_path",
                "srcAudioPath",
                "sourceAudioPath",
                "ctxAudioPath",
            ],
        ),
    ];
    for (name, files, paths) in named {
        let sent = form.files.iter();
        let sent: Vec<String> = sent
            .filter(|(field, _)| files.contains(&field.as_str()))
            .map(|(_, upload)| upload.id.clone())
            .collect();
        let given = fields.take(&[files, paths].concat());
        let found = match given {
            None => sent,
            Some(value) if sent.is_empty() => ids(studio, name, &value)?,
            Some(value) => {
                if says_something(&value) {
                    let message = format!("{name}: a file is sent, so what is named is not used.");
                    notes.push(Note::new("field_ignored", name, message));
                }
                sent
            }
        };
        match (name, found.as_slice()) {
            (_, []) => {}
            (_, [one]) => {
                request.insert(name.to_owned(), json!(one));
            }
            ("reference_audio", many) => {
                request.insert(name.to_owned(), json!(many));
            }
            (_, _) => {
                return Err(UserError::invalid(
                    name,
                    format!("{name}: more than one recording is given."),
                    "Give one.",
                )
                .into());
            }
        }
    }
    let mut others = form.files.iter().filter(|(field, _)| {
        !["reference_audio", "ref_audio", "src_audio", "ctx_audio"].contains(&field.as_str())
    });
    match others.next() {
        None => Ok(()),
        Some((field, _)) => {
            let shown: String = field.chars().take(40).collect();
            Err(UserError::invalid(
                field,
                format!("{shown}: no file is taken under this name."),
                "Files are reference_audio and src_audio.",
            )
            .into())
        }
    }
}

/// The official program has no field for a track: its clients write it into the instruction.
fn name_track(fields: &mut Fields, request: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    let tracks = fields.take(&["track_name", "trackName"]);
    let classes = fields.take(&[
        "complete_track_classes",
        "track_classes",
        "trackClasses",
        "track_names",
    ]);
    let instruction = fields.take_text(&["instruction"]);
    if let Some(track) = &tracks {
        request.insert("track_name".to_owned(), track.clone());
    }
    if let Some(classes) = &classes {
        request.insert("complete_track_classes".to_owned(), classes.clone());
    }
    let Some(instruction) = instruction else {
        return;
    };
    // Track names stand in it in capitals.
    let words = instruction.replace(' ', "_");
    let named: Vec<&str> = TRACKS
        .into_iter()
        .filter(|track| {
            let name = track.to_uppercase();
            words
                .split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
                .any(|word| word.trim_matches('_') == name)
        })
        .collect();
    let task = request.get("task_type").and_then(Value::as_str);
    let needs = task
        .and_then(TaskType::from_name)
        .map(TaskType::needs)
        .filter(|_| !named.is_empty());
    if needs.is_some_and(|needs| needs.track) && tracks.is_none() {
        request.insert("track_name".to_owned(), json!(named[0]));
    } else if needs.is_some_and(|needs| needs.tracks) && classes.is_none() {
        request.insert("complete_track_classes".to_owned(), json!(named));
    } else {
        let message = "instruction: not used, the instruction of the task is written here.";
        notes.push(Note::new("field_ignored", "instruction", message));
    }
}

/// Which models there are is decided when they are loaded, not by a request.
fn note_models(studio: &Studio, fields: &mut Fields, notes: &mut Vec<Note>) {
    let model = fields.take_text(&["model", "model_name", "modelName", "dit_model", "ditModel"]);
    let lm = fields.take_text(&["lm_model_path", "lmModelPath"]);
    // There is one.
    fields.take(&["lm_backend", "lmBackend"]);
    if model.is_none() && lm.is_none() {
        return;
    }
    let status = studio.status();
    let loaded_lm = status.lm.map_or_else(|| "none".to_owned(), |lm| lm.name);
    let loaded = status
        .model
        .map_or_else(|| "none".to_owned(), |model| model.name);
    for (field, asked, loaded) in [("model", model, loaded), ("lm_model_path", lm, loaded_lm)] {
        let asked = asked.map(|name| name.rsplit('/').next().unwrap_or_default().to_owned());
        if let Some(asked) = asked.filter(|asked| *asked != loaded) {
            let shown: String = asked.chars().take(80).collect();
            let message = format!("{field}: asked {shown}, using {loaded}, which is loaded.");
            notes.push(Note::new("model_not_loaded", field, message));
        }
    }
}

/// The official program fails what it cannot do without its language model.
pub(super) fn require_lm(studio: &Studio, what: &str) -> Result<(), ApiError> {
    // What is not loaded at all is said by the studio.
    if studio.bounds().lm_loaded || studio.status().model.is_none() {
        return Ok(());
    }
    let is_or_are = if what.contains(" and ") {
        "need"
    } else {
        "needs"
    };
    Err(UserError::new(
        "not_ready",
        format!("No language model is loaded, and {what} {is_or_are} one."),
        "Initialise the service with a language model, or start with --init_llm true.",
    )
    .into())
}
