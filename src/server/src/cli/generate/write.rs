//! Takes to files, each as it comes.

use std::path::{Path, PathBuf};

use acestep_domain::{
    GenerationParams, Note, audio_codes, library::Report, lora::LoraUse, saved, service::Resolved,
    timed_lyrics::Scores, title::title_from_caption,
};
use acestep_engine::{
    audio::{Audio, encode::encode, tags},
    engine::{Engine, EngineInfo, Request, Take},
    error::{Error, Stage},
};
use candle_core::{Device, Tensor};
use serde::Serialize;
use serde_json::json;

use super::{Failure, GenerateArgs, listen::listen, sources::without_folders};
use crate::{
    cli::files::{free_name, numbered, write_safely, write_tensors},
    progress::Bar,
};

/// A file that was written.
#[derive(Debug, Serialize)]
pub(super) struct Output {
    pub(super) path: PathBuf,
    pub(super) seed: u32,
    pub(super) duration_secs: f64,
    pub(super) sample_rate_hz: u32,
    pub(super) channels: usize,
    /// What it is listened to by afterwards, where something is to be found out.
    #[serde(skip)]
    pub(super) latents: Option<Tensor>,
    /// The file of its timed lyrics, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lyrics: Option<PathBuf>,
    /// How it was scored, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scores: Option<Scores>,
    /// How it sounds, and what it took.
    #[serde(flatten)]
    report: Report,
}

/// Writes each take as it comes.
pub(super) struct Writer<'a> {
    pub(super) args: &'a GenerateArgs,
    pub(super) params: &'a GenerationParams,
    /// Of all takes.
    pub(super) seeds: &'a [u32],
    /// A language model planned for them.
    pub(super) planned: bool,
    /// Codes of each take, where a language model wrote them.
    pub(super) codes: &'a [Vec<u32>],
    pub(super) info: EngineInfo,
    pub(super) loras: Vec<LoraUse>,
    pub(super) resolved: &'a Resolved,
    pub(super) outputs: Vec<Output>,
    pub(super) kept: Vec<(Tensor, Audio)>,
    pub(super) language_model_secs: f32,
    pub(super) decode_secs: f32,
    pub(super) failure: Option<Failure>,
}

impl<'a> Writer<'a> {
    /// For the takes of `request`, whether a language model planned for them, and how long it wrote.
    pub(super) fn new(
        args: &'a GenerateArgs,
        (request, (planned, language_model_secs)): (&'a Request, (bool, f32)),
        engine: &Engine,
        resolved: &'a Resolved,
    ) -> Self {
        Self {
            args,
            params: &request.params,
            seeds: &request.seeds,
            planned,
            codes: &request.codes,
            info: engine.info().clone(),
            loras: engine.loras(),
            resolved,
            outputs: Vec::new(),
            kept: Vec::new(),
            language_model_secs,
            decode_secs: 0.0,
            failure: None,
        }
    }

    /// The engine's sink: a failure of ours stops the run and is told in our words afterwards.
    pub(super) fn take(&mut self, take: Take) -> Result<(), Error> {
        self.decode_secs += take.report.decode_secs;
        match self.write(&take) {
            Ok(mut output) => {
                let listened_to = self.params.auto_lrc || self.params.auto_score;
                output.latents = take.latents.clone().filter(|_| listened_to);
                self.outputs.push(output);
            }
            Err(failure) => {
                self.failure = Some(failure);
                return Err(Error::Cancelled);
            }
        }
        if let (Some(latents), true) = (take.latents, self.args.output_latents.is_some()) {
            self.kept.push((latents, take.audio));
        }
        Ok(())
    }

    /// Finds out what the parameters ask to be found out about the takes, see [`listen()`].
    pub(super) fn listen(
        &mut self,
        engine: &mut Engine,
        request: &Request,
        bar: &Bar,
    ) -> Result<Vec<Note>, Failure> {
        let told = listen(engine, request, &mut self.outputs, bar);
        bar.clear();
        told
    }

    fn write(&self, take: &Take) -> Result<Output, Failure> {
        let format = self.params.audio_format;
        let path = match &self.args.output {
            Some(path) => numbered(path, take.item, self.seeds.len()),
            None => free_name(&format!("acestep-{}", take.seed), format),
        };
        let bytes = encode(&take.audio, format)?;
        write_safely(&path, |partial| {
            std::fs::write(partial, &bytes)
                .map_err(|error| Failure::io(&path, "written", &error))?;
            if self.args.noise.is_none() {
                let params = self.tagged_params(take);
                tags::embed(
                    partial,
                    format,
                    &params,
                    &title_from_caption(&self.params.caption),
                )?;
            }
            Ok(())
        })?;
        Ok(Output {
            path,
            seed: take.seed,
            duration_secs: take.audio.duration_secs(),
            sample_rate_hz: take.audio.sample_rate_hz,
            channels: take.audio.channels.len(),
            latents: None,
            lyrics: None,
            scores: None,
            report: Report {
                language_model_secs: self.language_model_secs,
                ..take.report
            },
        })
    }

    /// The parameters that make this take again, with a language model or without.
    fn tagged_params(&self, take: &Take) -> String {
        let mut params = GenerationParams {
            batch_size: 1,
            ..self.params.of_song(take.seed, self.seeds, self.planned)
        };
        if let Some(codes) = self.codes.get(take.item) {
            params.audio_codes = audio_codes::to_text(codes);
        }
        without_folders(&mut params);
        let mut value = json!(params);
        value[saved::STUDIO] = json!({
            "app_version": env!("CARGO_PKG_VERSION"),
            "model": self.info.name,
            "lora": self.loras,
            "device": self.resolved.device,
            "dtype": self.info.dtype,
        });
        // Of the report what undoes the level: seconds would make every file another one.
        saved::set_gain(&mut value, take.report.gain);
        value.to_string()
    }
}

pub(super) fn write_kept(path: &Path, kept: &[(Tensor, Audio)]) -> Result<(), Failure> {
    let stack = || -> candle_core::Result<(Tensor, Tensor)> {
        let latents: Vec<&Tensor> = kept.iter().map(|(latents, _)| latents).collect();
        let mut waves = Vec::new();
        for (_, audio) in kept {
            let shape = (audio.channels.len(), audio.frames());
            waves.push(Tensor::from_vec(
                audio.channels.concat(),
                shape,
                &Device::Cpu,
            )?);
        }
        Ok((Tensor::stack(&latents, 0)?, Tensor::stack(&waves, 0)?))
    };
    let (latents, waveform) = stack().map_err(Error::in_stage(Stage::Save))?;
    write_tensors(path, &[("latents", latents), ("waveform", waveform)])
}
