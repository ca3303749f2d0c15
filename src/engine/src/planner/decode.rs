//! The decoding loop: prompt, then token after token, several sequences side by side.
//!
//! All sequences continue one prompt, which is read once. Each has its own cache, grammar and
//! stream of draws; with guidance it has a second row that reads another prompt and is told the
//! same tokens. What is not a choice is not sampled: a forced run goes through the network in one
//! forward, together with the token before it.

use std::{ops::Range, time::Instant};

use acestep_domain::event::Stage;
use candle_core::Tensor;

use super::{
    constraint::{Constraint, Next, TokenSet},
    decoder_log::DecoderLog,
    sampler::{Candidate, Sampler, guided},
};
use crate::{
    error::{Error, Result},
    models::qwen3::{CausalLm, Chunk},
    nn::{KvCache, kv_cache::BLOCK},
    observer::Observer,
};

/// Tokens of an aside at most; the longest value of the grammar has fewer.
const LONGEST_ASIDE: usize = 16;

/// Ranges of rows of the head asked for one by one; a set in more pieces is asked for as a whole.
const MOST_RANGES: usize = 16;

/// What is continued.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// What every sequence continues.
    pub prompt: &'a [u32],
    /// What guidance steers away from, and how strongly (above 1).
    pub guidance: Option<(&'a [u32], f32)>,
    /// Tokens a sequence may have; it is cut there.
    pub budget: usize,
    /// Who hears of every token and of what it was taken from.
    pub log: Option<DecoderLog<'a>>,
}

/// One sequence's grammar and its way of choosing.
pub struct Writer {
    /// What may follow.
    pub constraint: Box<dyn Constraint>,
    /// What does.
    pub sampler: Sampler,
}

/// What a sequence has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Every token after the prompt.
    pub ids: Vec<u32>,
    /// It ran into the budget before its grammar was complete.
    pub cut: bool,
    /// What it would have said where a value was given: the field and its tokens.
    pub asides: Vec<(&'static str, Vec<u32>)>,
}

/// How far the loop is, seen from the first sequence that is not finished.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What it writes.
    pub field: &'static str,
    /// Its tokens so far.
    pub ids: &'a [u32],
    /// Tokens of all sequences so far.
    pub tokens: usize,
    /// Seconds since the prompt was read.
    pub secs: f64,
}

struct Sequence {
    index: usize,
    writer: Writer,
    cache: KvCache,
    /// The second row of guidance.
    shadow: Option<KvCache>,
    /// Hidden state of the last token, of each row: `[rows, h]`.
    hidden: Tensor,
    /// Tokens the network has not seen.
    pending: Vec<u32>,
    written: Written,
    finished: bool,
    /// Rows of the head for the choice at hand.
    rows: Vec<Range<usize>>,
}

/// Continues `script` once for each of `writers`; `report` hears of every token.
///
/// # Errors
/// Cancelled, too little memory, or no token that is allowed has a finite logit.
pub fn write(
    lm: &CausalLm,
    script: &Script<'_>,
    writers: Vec<Writer>,
    observer: &dyn Observer,
    report: &mut dyn FnMut(&Step<'_>),
) -> Result<Vec<Written>> {
    observer.check()?;
    let mut sequences =
        begin(lm, script, writers).map_err(Error::in_stage(Stage::LanguageModel))?;
    let started = Instant::now();
    loop {
        observer.check()?;
        for sequence in &mut sequences {
            while let Some(mut aside) = sequence.follow(script)? {
                observer.check()?;
                sequence.ask(lm, aside.as_mut())?;
            }
        }
        let mut live: Vec<&mut Sequence> = sequences.iter_mut().filter(|s| !s.finished).collect();
        if live.is_empty() {
            break;
        }
        let logits = forward(lm, &mut live)
            .and_then(|()| head(lm, &live))
            .map_err(Error::in_stage(Stage::LanguageModel))?;
        let scale = script.guidance.map(|(_, scale)| scale);
        for (sequence, rows) in live.iter_mut().zip(logits) {
            // Asked apart from the choice, which must be the same with and without the log.
            let log = match script.log {
                Some(log) => DecoderLog::free(lm, &sequence.hidden, scale)?.map(|free| (log, free)),
                None => None,
            };
            sequence.choose(&rows, scale, log)?;
        }
        let tokens = sequences.iter().map(|s| s.written.ids.len()).sum();
        if let Some(first) = sequences.iter().find(|s| !s.finished) {
            report(&Step {
                field: first.writer.constraint.field(),
                ids: &first.written.ids,
                tokens,
                secs: started.elapsed().as_secs_f64(),
            });
        }
    }
    Ok(sequences.into_iter().map(|s| s.written).collect())
}

/// Reads the prompts once and hands each writer its own copy of what was kept.
fn begin(
    lm: &CausalLm,
    script: &Script<'_>,
    writers: Vec<Writer>,
) -> candle_core::Result<Vec<Sequence>> {
    let read = |ids: &[u32]| {
        let mut cache = lm.cache(ids.len() + script.budget.min(BLOCK))?;
        let hidden = lm.extend_last(&mut [Chunk {
            ids,
            cache: &mut cache,
        }])?;
        Ok::<_, candle_core::Error>((cache, hidden))
    };
    let (mut cache, mut hidden) = read(script.prompt)?;
    let mut shadow = None;
    if let Some((prompt, _)) = script.guidance {
        let (other, row) = read(prompt)?;
        hidden = Tensor::cat(&[hidden, row], 0)?;
        shadow = Some(other);
    }
    let last = writers.len().saturating_sub(1);
    let mut sequences = Vec::with_capacity(writers.len());
    for (index, writer) in writers.into_iter().enumerate() {
        let (cache, shadow) = if index == last {
            // The last one takes the originals.
            let empty = lm.cache(0)?;
            (std::mem::replace(&mut cache, empty), shadow.take())
        } else {
            let shadow = shadow.as_ref().map(KvCache::fork).transpose()?;
            (cache.fork()?, shadow)
        };
        sequences.push(Sequence {
            index,
            writer,
            cache,
            shadow,
            hidden: hidden.clone(),
            pending: Vec::new(),
            written: Written {
                ids: Vec::new(),
                cut: false,
                asides: Vec::new(),
            },
            finished: false,
            rows: Vec::new(),
        });
    }
    Ok(sequences)
}

/// Shows the network what it has not seen.
fn forward(lm: &CausalLm, live: &mut [&mut Sequence]) -> candle_core::Result<()> {
    let mut chunks = Vec::new();
    for sequence in live.iter_mut() {
        let Sequence {
            pending,
            cache,
            shadow,
            ..
        } = &mut **sequence;
        if pending.is_empty() {
            continue;
        }
        chunks.push(Chunk {
            ids: pending.as_slice(),
            cache,
        });
        if let Some(cache) = shadow {
            chunks.push(Chunk {
                ids: pending.as_slice(),
                cache,
            });
        }
    }
    if chunks.is_empty() {
        return Ok(());
    }
    let hidden = lm.extend_last(&mut chunks)?;
    let mut first = 0;
    for sequence in live.iter_mut().filter(|s| !s.pending.is_empty()) {
        let rows = 1 + usize::from(sequence.shadow.is_some());
        sequence.hidden = hidden.narrow(0, first, rows)?;
        sequence.pending.clear();
        first += rows;
    }
    Ok(())
}

/// Logits of each sequence's rows of the head, one list a row of the sequence.
fn head(lm: &CausalLm, live: &[&mut Sequence]) -> candle_core::Result<Vec<Vec<Vec<f32>>>> {
    let alike = live.windows(2).all(|pair| pair[0].rows == pair[1].rows);
    if alike && let Some(first) = live.first() {
        let hidden: Vec<&Tensor> = live.iter().map(|s| &s.hidden).collect();
        let logits = lm.logits(&Tensor::cat(&hidden, 0)?, &first.rows)?;
        let mut logits = logits.to_vec2::<f32>()?.into_iter();
        return live
            .iter()
            .map(|s| Ok(logits.by_ref().take(s.hidden.dim(0)?).collect()))
            .collect();
    }
    live.iter()
        .map(|s| lm.logits(&s.hidden, &s.rows)?.to_vec2::<f32>())
        .collect()
}

/// The rows of the head that hold `allowed`, ascending.
fn rows_of(allowed: &TokenSet) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for id in allowed.iter().map(|id| id as usize) {
        end = id + 1;
        let count = ranges.len();
        match ranges.last_mut() {
            Some(last) if last.end == id => last.end = end,
            _ if count <= MOST_RANGES => ranges.push(id..end),
            _ => {}
        }
    }
    match ranges.first() {
        Some(first) if ranges.len() > MOST_RANGES => std::iter::once(first.start..end).collect(),
        _ => ranges,
    }
}

impl Sequence {
    /// Goes along until there is a choice, the end, or the budget is used up. Stops before a value that
    /// was given, with the grammar of what could be said in its place.
    fn follow(&mut self, script: &Script<'_>) -> Result<Option<Box<dyn Constraint>>> {
        while !self.finished {
            let cut = self.written.ids.len() >= script.budget;
            if !cut && let Some(aside) = self.writer.constraint.aside() {
                return Ok(Some(aside));
            }
            let field = self.writer.constraint.field();
            let run = match self.writer.constraint.next() {
                Next::Done => {
                    self.finished = true;
                    return Ok(None);
                }
                _ if cut => {
                    self.written.cut = true;
                    self.finished = true;
                    return Ok(None);
                }
                Next::Choice { allowed, .. } if allowed.is_empty() => {
                    return Err(Error::LanguageModel {
                        field,
                        reason: "no token of this tokenizer is allowed".to_owned(),
                    });
                }
                Next::Choice { allowed, .. } => {
                    self.rows = rows_of(allowed);
                    return Ok(None);
                }
                Next::Forced(run) => run,
            };
            if let Some(log) = script.log {
                log.forced(self.index, field, &run);
            }
            for token in run {
                self.take(token)?;
            }
        }
        Ok(None)
    }

    /// Notes what the network thinks most probable under `aside`; the text goes on without it.
    fn ask(&mut self, lm: &CausalLm, aside: &mut dyn Constraint) -> Result<()> {
        let stage = || Error::in_stage(Stage::LanguageModel);
        forward(lm, &mut [self]).map_err(stage())?;
        let field = aside.field();
        let mut cache = self.cache.fork().map_err(stage())?;
        let mut hidden = self.hidden.narrow(0, 0, 1).map_err(stage())?;
        let mut pending: Vec<u32> = Vec::new();
        let mut said = Vec::new();
        while said.len() < LONGEST_ASIDE {
            let run = match aside.next() {
                Next::Done => break,
                Next::Forced(run) => run,
                Next::Choice { allowed, .. } => {
                    if !pending.is_empty() {
                        let mut chunk = [Chunk {
                            ids: &pending,
                            cache: &mut cache,
                        }];
                        hidden = lm.extend_last(&mut chunk).map_err(stage())?;
                        pending.clear();
                    }
                    let rows = rows_of(allowed);
                    let logits = lm
                        .logits(&hidden, &rows)
                        .and_then(|logits| logits.squeeze(0)?.to_vec1::<f32>())
                        .map_err(stage())?;
                    let best = rows
                        .iter()
                        .cloned()
                        .flatten()
                        .zip(logits)
                        .filter(|(id, logit)| allowed.contains(*id as u32) && logit.is_finite())
                        .max_by(|(_, a), (_, b)| a.total_cmp(b));
                    // An opinion that cannot be had is none.
                    let Some((id, _)) = best else { return Ok(()) };
                    vec![id as u32]
                }
            };
            for token in run {
                aside.advance(token)?;
                said.push(token);
                pending.push(token);
            }
        }
        self.written.asides.push((field, said));
        Ok(())
    }

    fn take(&mut self, token: u32) -> Result<()> {
        self.writer.constraint.advance(token)?;
        self.writer.sampler.wrote(token);
        self.pending.push(token);
        self.written.ids.push(token);
        Ok(())
    }

    /// Chooses among what is allowed, by `logits` of the row and, under guidance, of its shadow. `log`
    /// hears of it, and of what the network would have said freely.
    fn choose(
        &mut self,
        logits: &[Vec<f32>],
        scale: Option<f32>,
        log: Option<(DecoderLog<'_>, u32)>,
    ) -> Result<()> {
        let field = self.writer.constraint.field();
        let no_choice = |reason: &str| Error::LanguageModel {
            field,
            reason: reason.to_owned(),
        };
        let Next::Choice { allowed, greedy } = self.writer.constraint.next() else {
            return Err(no_choice("the grammar changed its mind"));
        };
        let ids = self.rows.iter().cloned().flatten();
        let candidates: Vec<Candidate> = ids
            .zip(guided(logits, scale))
            .map(|(id, logit)| (id as u32, logit))
            .filter(|(id, _)| allowed.contains(*id))
            .collect();
        let count = log.map_or(0, |_| allowed.len());
        let token = self
            .writer
            .sampler
            .choose(candidates, greedy)
            .ok_or_else(|| no_choice("no token that is allowed has a finite probability"))?;
        if let Some((log, free)) = log {
            log.chosen(self.index, field, count, token, free);
        }
        self.take(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_set_or_one_span() {
        let mut set = TokenSet::new(1000);
        set.extend([5, 6, 7, 900]);
        assert_eq!(rows_of(&set), [5..8, 900..901]);
        set.extend((100..200).step_by(2));
        let whole = rows_of(&set);
        assert_eq!((whole.len(), whole.first()), (1, Some(&(5..901))));
        assert_eq!(rows_of(&TokenSet::new(10)), Vec::<Range<usize>>::new());
    }
}
