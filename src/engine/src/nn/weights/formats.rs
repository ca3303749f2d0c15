//! In which formats matrices are held: what is asked for, by what a matrix is for, and what came of
//! it.

use std::collections::BTreeMap;

use candle_core::DType;

use crate::kernels::quantized::Format;

/// The formats that matrices get when a network takes them; `None` leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Formats {
    /// Layers.
    pub layers: Option<Format>,
    /// Embeddings and the head.
    pub table: Option<Format>,
}

impl Formats {
    /// The format for rows of `width` values: superblocks fall back to blocks of 32 where a row is
    /// no whole number of them, and what does not fit either stays as it is.
    pub fn of(self, role: Role, width: usize) -> Option<Format> {
        let wanted = self.wanted(role)?;
        [wanted, Format::Q8_0]
            .into_iter()
            .find(|format| width > 0 && format.row_bytes(width).is_some())
    }

    /// The format asked for, whether it fits or not.
    fn wanted(self, role: Role) -> Option<Format> {
        match role {
            Role::Layer => self.layers,
            Role::Table => self.table,
            Role::Exact => None,
        }
    }
}

/// How many matrices do not get the format asked for, since it does not fit their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Misfits {
    /// Matrices that a format is asked for.
    pub asked: usize,
    /// Of these, those that get blocks of eight bits instead of fewer.
    pub eight_bits: usize,
    /// Of these, those that stay as they are.
    pub unquantised: usize,
}

impl Misfits {
    /// Counts a matrix of rows of `width` values.
    pub(super) fn count(&mut self, formats: Formats, role: Role, width: usize) {
        let Some(wanted) = formats.wanted(role) else {
            return;
        };
        self.asked += 1;
        match formats.of(role, width) {
            None => self.unquantised += 1,
            Some(format) if format != wanted => self.eight_bits += 1,
            Some(_) => {}
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            eight_bits: self.eight_bits + other.eight_bits,
            unquantised: self.unquantised + other.unquantised,
        }
    }
}

/// What a matrix is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A linear layer.
    Layer,
    /// An embedding, or a head with a row for every token.
    Table,
    /// What every layer or every code hangs on: the embedding of the time, the layers around the
    /// quantizer and those at the ends. It stays as it is.
    Exact,
}

impl Role {
    /// By its name in the released files: networks that take a matrix and the cache that is
    /// written without one ask here alike.
    pub fn of(name: &str) -> Self {
        let exact = |part: &str| {
            part.starts_with("time_embed") || matches!(part, "quantizer" | "proj_in" | "proj_out")
        };
        if name.split('.').any(exact) {
            Self::Exact
        } else if name == "lm_head.weight" || name.ends_with("embed_tokens.weight") {
            Self::Table
        } else {
            Self::Layer
        }
    }
}

/// What a network holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of everything taken.
    pub bytes: u64,
    /// Bytes in each block format.
    pub packed: BTreeMap<Format, u64>,
    /// Bytes of the largest tensor that is not in blocks: reading it takes as much again.
    pub largest: u64,
}

impl Held {
    /// How most of it is stored, in a word: a block format, or `dtype` where nothing is quantised.
    pub fn dtype(&self, dtype: DType) -> String {
        let most = self.packed.iter().max_by_key(|(_, bytes)| **bytes);
        most.map_or_else(
            || dtype.as_str().to_owned(),
            |(format, _)| format.as_str().to_ascii_lowercase(),
        )
    }

    /// Adds what another network holds.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.largest = self.largest.max(other.largest);
        for (format, bytes) in &other.packed {
            *self.packed.entry(*format).or_default() += bytes;
        }
    }
}
