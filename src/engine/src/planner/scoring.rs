//! How well a song does what was asked, by the language model: it reads the song's codes, and what was
//! asked for is held against what it would have answered (planner.md 8.2). Nothing is sampled.

use std::{collections::BTreeMap, slice};

use acestep_domain::{SongPlan, event::Stage, note::Note, timed_lyrics::Scores};
use candle_core::{DType, Tensor};

use super::{language_model::LanguageModel, plan_text, prompt, yaml};
use crate::{
    error::{Error, Result},
    models::qwen3::{CausalLm, Chunk},
    nn::KvCache,
    observer::Observer,
};

/// Ranks that count, the first fully and each later one by a tenth less.
const RANKS: f64 = 10.0;

/// Positions whose logits are made at once: a vocabulary of 217,204 is 0.9 MB of f32 a position.
const ROWS: usize = 16;

/// What is scored.
#[derive(Debug, Clone, Copy)]
pub struct ScoreRequest<'a> {
    /// Audio codes of the song.
    pub codes: &'a [u32],
    /// What was asked of it: caption, lyrics, metadata. What is absent is not scored.
    pub plan: &'a SongPlan,
    /// What differences of mean log-probabilities are divided by.
    pub scale: f64,
}

/// How an answer looks to the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Mean natural logarithm of the tokens' probabilities.
    pub mean_log_prob: f64,
    /// Mean of what the tokens' ranks are worth, 0 to 1.
    pub recall: f64,
}

/// A prompt that was read, against which answers are held.
pub struct Read<'a> {
    network: &'a CausalLm,
    cache: KvCache,
    tokens: usize,
    /// Hidden state of the prompt's last token, `[1, h]`.
    last: Tensor,
}

impl<'a> Read<'a> {
    /// Reads `prompt`; the answers have at most `longest` tokens.
    ///
    /// # Errors
    /// It is empty, or there is too little memory.
    pub fn new(network: &'a CausalLm, prompt: &[u32], longest: usize) -> candle_core::Result<Self> {
        let mut cache = network.cache(prompt.len() + longest)?;
        let mut chunks = [Chunk {
            ids: prompt,
            cache: &mut cache,
        }];
        let last = network.extend_last(&mut chunks)?;
        Ok(Self {
            network,
            cache,
            tokens: prompt.len(),
            last,
        })
    }

    /// How `answer` looks after the prompt.
    ///
    /// # Errors
    /// It is empty, holds an id that is none, or there is too little memory.
    pub fn judge(&mut self, answer: &[u32]) -> candle_core::Result<Judged> {
        let network = self.network;
        let vocabulary = network.vocab_size();
        let [before @ .., _] = answer else {
            candle_core::bail!("an answer of no token cannot be judged")
        };
        if let Some(id) = answer.iter().find(|id| **id as usize >= vocabulary) {
            candle_core::bail!("{id} is no token")
        }
        let hidden = if before.is_empty() {
            self.last.clone()
        } else {
            self.cache.truncate(self.tokens);
            let mut chunks = [Chunk {
                ids: before,
                cache: &mut self.cache,
            }];
            let mut hidden = vec![self.last.clone()];
            hidden.extend(network.extend(&mut chunks)?);
            Tensor::cat(&hidden, 0)? // [n, h]
        };
        let all = 0..vocabulary;
        let (mut log_prob, mut recall) = (0.0, 0.0);
        for (index, ids) in answer.chunks(ROWS).enumerate() {
            let rows = hidden.narrow(0, index * ROWS, ids.len())?;
            let logits = network.logits(&rows, slice::from_ref(&all))?; // [n, v]
            let ids = Tensor::new(ids, logits.device())?.unsqueeze(1)?;
            let own = logits.gather(&ids, 1)?; // [n, 1]
            let sum = logits.log_sum_exp(1)?; // [n]
            let better = logits.broadcast_gt(&own)?.to_dtype(DType::F32)?.sum(1)?;
            let probs: Vec<f32> = (own.squeeze(1)? - sum)?.to_vec1()?;
            log_prob += probs.into_iter().map(f64::from).sum::<f64>();
            let better: Vec<f32> = better.to_vec1()?;
            recall += better
                .into_iter()
                .map(|better| (1.0 - f64::from(better) / RANKS).max(0.0))
                .sum::<f64>();
        }
        let tokens = answer.len() as f64;
        Ok(Judged {
            mean_log_prob: log_prob / tokens,
            recall: recall / tokens,
        })
    }
}

/// How much likelier an answer is for the song than for none, 0 to 1.
pub fn likelier(for_song: Judged, for_none: Judged, scale: f64) -> f64 {
    let difference = for_song.mean_log_prob - for_none.mean_log_prob;
    1.0 / (1.0 + (-difference / scale).exp())
}

impl LanguageModel {
    /// Scores a song by its codes; a note for what is too long to be read beside them.
    ///
    /// # Errors
    /// A model that cannot read codes, no codes, codes too long for it, too little memory, cancelled.
    pub fn score(
        &self,
        request: &ScoreRequest<'_>,
        observer: &dyn Observer,
    ) -> Result<(Scores, Vec<Note>)> {
        let stage = || Error::in_stage(Stage::LanguageModel);
        let tokenizer = self.tokenizer();
        tokenizer.code_ids()?;
        if request.codes.is_empty() {
            return Err(Error::Invalid {
                field: "audio_codes",
                reason: "there are none to score by".to_owned(),
            });
        }
        let of_song = prompt::understand(tokenizer, request.codes)?;
        let of_none = prompt::understand(tokenizer, &[])?;
        self.check_length(of_song.len(), 1, "audio_codes")?;

        let mut notes = Vec::new();
        let mut answers: Vec<(&str, Vec<u32>)> = Vec::new();
        for (name, value) in plan_text::fields(request.plan) {
            let yaml = yaml::dump(&[(name, value)]);
            answers.push((name, prompt::one_field(tokenizer, &yaml)?));
        }
        if !request.plan.lyrics.trim().is_empty() {
            let lyrics = prompt::lyrics_alone(tokenizer, &request.plan.lyrics)?;
            answers.push(("lyrics", lyrics));
        }
        let room = self.room(of_song.len());
        answers.retain(|(name, answer)| {
            let fits = answer.len() <= room;
            if !fits {
                notes.push(Note::new(
                    "score_left_out",
                    name,
                    format!(
                        "Score: {name} has {} tokens, and beside the song's codes the language model reads {room}, so it is not scored.",
                        answer.len()
                    ),
                ));
            }
            fits
        });

        let longest = answers.iter().map(|(_, answer)| answer.len()).max();
        let longest = longest.unwrap_or_default();
        let network = self.network()?;
        let total = answers.len() + 2;
        observer.check()?;
        let mut of_song = Read::new(&network, &of_song, longest).map_err(stage())?;
        observer.progress(Stage::LanguageModel, 0, 1, total);
        observer.check()?;
        let mut of_none = Read::new(&network, &of_none, longest).map_err(stage())?;
        observer.progress(Stage::LanguageModel, 0, 2, total);
        let mut scores = Scores {
            metadata: BTreeMap::new(),
            score_scale: Some(request.scale),
            lm: Some(self.info().name.clone()),
            ..Scores::default()
        };
        for (done, (name, answer)) in answers.iter().enumerate() {
            observer.check()?;
            let judged = of_song.judge(answer).map_err(stage())?;
            match *name {
                "caption" | "lyrics" => {
                    let alone = of_none.judge(answer).map_err(stage())?;
                    let score = Some(likelier(judged, alone, request.scale));
                    if *name == "caption" {
                        scores.caption = score;
                    } else {
                        scores.lyrics = score;
                    }
                }
                _ => {
                    scores.metadata.insert((*name).to_owned(), judged.recall);
                }
            }
            observer.progress(Stage::LanguageModel, 0, done + 3, total);
        }
        Ok((scores.with_global(), notes))
    }
}
