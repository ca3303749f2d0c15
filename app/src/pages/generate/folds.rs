//! The folds: everything that has a good value already.

use acestep_domain::{
    generation::{AudioFormat, GenerationParams, InferMethod},
    metadata::TimeSignature,
    number::decimal,
};
use leptos::prelude::*;

use super::{
    audio_in::{AudioInFields, AudioInFold},
    find_out::FindOutFields,
    fold::Fold,
    key::{KeyField, key_of},
    language_model::{LanguageModelFields, LanguageModelFold},
    loras::{LoraFields, LoraFold},
    numbers::{error_for, notes_for},
    param_words,
    sampler::Sampler,
    words,
};
use crate::{
    components::{
        field::Field,
        note::{Notes, Reason},
        select::{Choice, Select},
        switch::Switch,
    },
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::form::Form,
    word,
};

/// What the fold Sampler sets.
const SAMPLER_KEYS: &[&str] = &[
    "inference_steps",
    "shift",
    "infer_method",
    "timesteps",
    "guidance_scale",
    "use_adg",
    "cfg_interval_start",
    "cfg_interval_end",
];

/// What a fold holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Key and time signature.
    Music,
    /// References and audio codes.
    AudioIn,
    /// What the language model is asked for.
    LanguageModel,
    /// Steps, shift, method, guidance.
    Sampler,
    /// The adapters of the folder.
    Lora,
    /// File, level, what is found out.
    Output,
}

/// The fields inside a fold.
#[component]
pub fn FoldFields(of: Fields) -> impl IntoView {
    match of {
        Fields::Music => view! { <MusicFields /> }.into_any(),
        Fields::AudioIn => view! { <AudioInFields /> }.into_any(),
        Fields::LanguageModel => view! { <LanguageModelFields /> }.into_any(),
        Fields::Sampler => view! { <Sampler /> }.into_any(),
        Fields::Lora => view! { <LoraFields /> }.into_any(),
        Fields::Output => view! { <OutputFields /> }.into_any(),
    }
}

/// Music, Audio in, Language model, Sampler, LoRA, Output.
#[component]
pub fn Folds() -> impl IntoView {
    let form = Form::expect();
    // A cover or a repaint leaves nothing to it.
    let with_lm = Memo::new(move |_| {
        GenerationParams {
            task_type: form.task(),
            ..GenerationParams::default()
        }
        .task_uses_lm()
    });
    view! {
        <div class="folds">
            <Music />
            <AudioInFold />
            <Show when=move || with_lm.get()>
                <LanguageModelFold />
            </Show>
            <SamplerFold />
            <LoraFold />
            <Output />
        </div>
    }
    .into_any()
}

#[component]
fn Music() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let (key, signature) = (form.text("keyscale"), form.text("timesignature"));
    let now = Signal::derive(move || {
        let auto = t_string!(i18n, generate.auto_word).to_string();
        let key = key.with(|text| key_of(text));
        let signature = TimeSignature::parse(&signature.get()).ok();
        t_string!(
            i18n,
            generate.music_now,
            key = key.map_or_else(|| auto.clone(), |key| key.to_string()),
            signature = signature.map_or(auto, |own| own.label().to_owned())
        )
    });
    view! {
        <Fold
            id="f-music"
            keys=&["keyscale", "timesignature"]
            name=word!(i18n, generate.fold.music)
            now
            fields=Fields::Music
        />
    }
    .into_any()
}

#[component]
fn MusicFields() -> impl IntoView {
    let i18n = use_i18n();
    let signature = Form::expect().text("timesignature");
    let auto = move || (String::new(), t_string!(i18n, common.auto).to_string());
    let signatures = Signal::derive(move || {
        std::iter::once(auto())
            .chain(TimeSignature::ALL.map(|own| (own.to_string(), own.label().to_owned())))
            .collect::<Vec<Choice>>()
    });
    view! {
        <KeyField />
        <Field
            id="timesignature"
            label=word!(i18n, params.timesignature.label)
            help=word!(i18n, params.timesignature.help)
            notes=notes_for("timesignature")
        >
            <Select id="timesignature" value=signature choices=signatures />
        </Field>
    }
    .into_any()
}

#[component]
fn SamplerFold() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let now = Signal::derive(move || {
        form.checked.with(|checked| {
            let params = &checked.params;
            let method = match params.infer_method {
                InferMethod::Ode => "ODE",
                InferMethod::Sde => "SDE",
            };
            match &params.timesteps {
                Some(own) => {
                    t_string!(i18n, generate.sampler_own, n = own.len(), method = method)
                }
                None => t_string!(
                    i18n,
                    generate.sampler_now,
                    n = params.inference_steps,
                    shift = format!("{:.1}", params.shift),
                    method = method
                ),
            }
        })
    });
    view! {
        <Fold
            id="f-sampler"
            keys=SAMPLER_KEYS
            name=word!(i18n, generate.fold.sampler)
            now
            fields=Fields::Sampler
        />
    }
    .into_any()
}

/// What the fold Output sets.
const OUTPUT_KEYS: &[&str] = &[
    "audio_format",
    "target_lufs",
    "normalize",
    "auto_lrc",
    "auto_score",
    "score_scale",
];

#[component]
fn Output() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let (format, normalize) = (form.text("audio_format"), form.switch("normalize"));
    let target = form.text("target_lufs");
    let names = move |format: AudioFormat| param_words::format(i18n.get_locale(), format);
    let now = Signal::derive(move || {
        let file = AudioFormat::from_name(&format.get())
            .map(names)
            .unwrap_or_default();
        let level = if let Some(lufs) = target.with(|target| decimal(target.trim())) {
            t_string!(i18n, takes.level_lufs, lufs = words::minus(lufs))
        } else if normalize.get() {
            t_string!(i18n, generate.level_raised).to_owned()
        } else {
            t_string!(i18n, generate.level_kept).to_owned()
        };
        t_string!(i18n, generate.output_now, file = file, level = level)
    });
    view! {
        <Fold
            id="f-output"
            keys=OUTPUT_KEYS
            name=word!(i18n, generate.fold.output)
            now
            fields=Fields::Output
        />
    }
    .into_any()
}

#[component]
fn OutputFields() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let (format, normalize) = (form.text("audio_format"), form.switch("normalize"));
    let target = form.text("target_lufs");
    let names = move |format: AudioFormat| param_words::format(i18n.get_locale(), format);
    let formats = Signal::derive(move || {
        AudioFormat::ALL
            .map(|own| (own.as_str().to_owned(), names(own).to_string()))
            .to_vec()
    });
    let targets = Signal::derive(move || {
        let listed = [
            ("", t_string!(i18n, takes.loudness_off)),
            ("-9", t_string!(i18n, takes.lufs.loud)),
            ("-14", t_string!(i18n, takes.lufs.streaming)),
            ("-16", t_string!(i18n, takes.lufs.speech)),
            ("-23", t_string!(i18n, takes.lufs.broadcast)),
        ]
        .map(|(value, words)| (value.to_owned(), words.to_owned()));
        // A loudness from a file or a song may be any.
        let own = target.get();
        let is_listed = listed.iter().any(|(value, _)| *value == own);
        let own = (!is_listed).then(|| (own.clone(), format!("{own} LUFS")));
        listed.into_iter().chain(own).collect::<Vec<Choice>>()
    });
    view! {
        <Field
            id="audio_format"
            label=word!(i18n, params.audio_format.label)
            help=word!(i18n, params.audio_format.help)
            notes=notes_for("audio_format")
        >
            <Select id="audio_format" value=format choices=formats />
        </Field>
        <Field
            id="target_lufs"
            label=word!(i18n, params.target_lufs.label)
            help=word!(i18n, params.target_lufs.help)
            notes=notes_for("target_lufs")
            error=error_for("target_lufs")
        >
            <Select id="target_lufs" value=target choices=targets />
        </Field>
        <div class="field">
            <Switch
                id="normalize"
                value=normalize
                label=word!(i18n, params.normalize.label)
                with_state=true
            />
            <Show when=move || target.with(|target| !target.trim().is_empty())>
                <Reason text=word!(i18n, takes.by_loudness) />
            </Show>
            <Notes notes=notes_for("normalize") />
            <p class="field__help">{t!(i18n, params.normalize.help)}</p>
        </div>
        <FindOutFields />
    }
    .into_any()
}
