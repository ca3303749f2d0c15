//! When which words are sung, read off where the decoder looks while it makes a song (engine.md 10).
//!
//! Some heads of its cross-attention follow the lyrics. What they look at, token by frame, is a
//! [`Maps`]; [`timing`] finds the path through it, [`score`] says how clear that path is, and
//! [`words`] knows which tokens are which line. Plain arithmetic on numbers: the pass through the
//! network is [`crate::pipeline::align`].

pub mod dtw;
pub mod score;
pub mod timing;
pub mod words;

use candle_core::{Result, Tensor};

/// Rows of lyric tokens, columns of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    tokens: usize,
    frames: usize,
    /// Row after row.
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix of `values`, row after row; `None` unless they fill it and there are some.
    pub fn new(tokens: usize, frames: usize, values: Vec<f32>) -> Option<Self> {
        let whole = tokens > 0 && frames > 0 && values.len() == tokens * frames;
        whole.then_some(Self {
            tokens,
            frames,
            values,
        })
    }

    /// Number of rows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Number of columns.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// A row.
    pub fn row(&self, token: usize) -> &[f32] {
        &self.values[token * self.frames..(token + 1) * self.frames]
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.frames)
    }
}

/// What each head looks at: shares of its attention, a matrix a head, all of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    heads: Vec<Matrix>,
}

impl Maps {
    /// Takes `[heads, frames, tokens]`, f32, as attention gives it, of which the first `frames`
    /// are the song's.
    ///
    /// # Errors
    /// There is no head, no token or no frame, or fewer frames than that.
    pub fn from_attention(attention: &Tensor, frames: usize) -> Result<Self> {
        let (heads, _, tokens) = attention.dims3()?;
        let turned = attention.narrow(1, 0, frames)?.transpose(1, 2)?; // [heads, tokens, frames]
        let heads = (0..heads)
            .map(|head| {
                let values = turned.get(head)?.flatten_all()?.to_vec1()?;
                Matrix::new(tokens, frames, values).ok_or_else(|| {
                    candle_core::Error::Msg(format!("{tokens} tokens over {frames} frames"))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if heads.is_empty() {
            candle_core::bail!("no head was looked at")
        }
        Ok(Self { heads })
    }

    /// Lyric tokens.
    pub fn tokens(&self) -> usize {
        self.heads[0].tokens
    }

    /// Frames of the song.
    pub fn frames(&self) -> usize {
        self.heads[0].frames
    }

    /// The matrices.
    pub fn heads(&self) -> &[Matrix] {
        &self.heads
    }
}
