//! Quantised weights in the order in which they are multiplied.
//!
//! A panel is [`LANES`] rows side by side. Each of its blocks holds the scales of all rows, then
//! planes of 32 bytes a row that become `[16 pairs][16 rows][2]`: two neighbouring values of every
//! row are together, which is what one instruction multiplies and adds. What a byte of a plane
//! means is the format's business, as in a file:
//!
//! | format | scales | planes |
//! | --- | --- | --- |
//! | `Q8_0` | half `[16]` | values |
//! | `Q4_K` | half `[16]`, half `[16]` (minima), six bits in a byte `[8, 16]` and `[8, 16]` | 4 of two nibbles |
//! | `Q5_K` | the same | fifth bits, 4 of two nibbles |
//! | `Q6_K` | half `[16]`, signed bytes `[16, 16]` | 2 times 3, for four parts |
//!
//! The values of `Q6_K` are not where a file has them: three parts of four have the lower six bits
//! of a plane each, and the last has two bits, from the lowest up, in the upper two of all three.
//! Rows beyond the last are zeros.

use std::{fmt, ops::Range, sync::Arc};

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::{
    Blocks, SharedBytes,
    activations::{Activations, Closeness},
    blocks::{Format, PART, six_bit_values, six_bits},
    product,
};
use crate::{
    kernels::{linear::outputs_of, matvec::FEW_ROWS, parallel::SharedOut},
    room::with_room,
};

/// Rows of a panel.
pub(crate) const LANES: usize = 16;

/// Bytes of a plane of a panel.
pub(super) const PLANE: usize = LANES * PART;

/// Where the parts of a panel's block begin, in bytes.
pub(super) mod at {
    use super::{LANES, PLANE};

    /// Planes of `Q8_0`.
    pub(in super::super) const Q8_0_VALUES: usize = 2 * LANES;
    /// Minima of `Q4_K` and `Q5_K`, in half precision.
    pub(in super::super) const MINIMUM: usize = 2 * LANES;
    /// Six-bit scales, one row of lanes for each part.
    pub(in super::super) const SCALES: usize = 4 * LANES;
    /// Six-bit minima.
    pub(in super::super) const MINIMA: usize = SCALES + 8 * LANES;
    /// Nibbles of `Q4_K`, and fifth bits of `Q5_K`.
    pub(in super::super) const AFTER_MINIMA: usize = MINIMA + 8 * LANES;
    /// Nibbles of `Q5_K`.
    pub(in super::super) const Q5K_NIBBLES: usize = AFTER_MINIMA + PLANE;
    /// Scales of `Q6_K`, one row of lanes for every 16 values.
    pub(in super::super) const Q6K_SCALES: usize = 2 * LANES;
    /// Values of `Q6_K`.
    pub(in super::super) const Q6K_VALUES: usize = Q6K_SCALES + 16 * LANES;
}

impl Format {
    /// Bytes of a block of a panel.
    pub(super) const fn panel_block_bytes(self) -> usize {
        match self {
            Self::Q8_0 => at::Q8_0_VALUES + PLANE,
            Self::Q4K => at::AFTER_MINIMA + 4 * PLANE,
            Self::Q5K => at::Q5K_NIBBLES + 4 * PLANE,
            Self::Q6K => at::Q6K_VALUES + 6 * PLANE,
        }
    }

    /// Bytes of a panel that a block comes to: those of the block, and a few more where they are
    /// unpacked.
    pub(crate) const fn block_bytes_in_panels(self) -> usize {
        self.panel_block_bytes() / LANES
    }
}

/// Panels begin at a multiple of this, so that no vector of them lies in two cache lines.
pub const ALIGNMENT: usize = 64;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// Panels in memory of their own.
struct Lines(Vec<Line>);

impl Lines {
    /// Zeros for `bytes` bytes.
    fn zeros(bytes: usize) -> Result<Self> {
        let mut lines = with_room(bytes.div_ceil(ALIGNMENT))?;
        lines.resize(bytes.div_ceil(ALIGNMENT), Line([0; ALIGNMENT]));
        Ok(Self(lines))
    }

    #[expect(unsafe_code, reason = "lines are bytes")]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.0.len() * ALIGNMENT;
        // SAFETY: a line is that many bytes without gaps, and every byte is a value.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

impl AsRef<[u8]> for Lines {
    #[expect(unsafe_code, reason = "lines are bytes")]
    fn as_ref(&self) -> &[u8] {
        let len = self.0.len() * ALIGNMENT;
        // SAFETY: a line is that many bytes without gaps.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), len) }
    }
}

/// A quantised matrix `[rows, width]` ready to be multiplied, or some rows of one; in memory, or
/// where a file of panels is mapped. Cloning is cheap.
#[derive(Clone)]
pub struct Panels {
    bytes: SharedBytes,
    /// Where its first panel begins: a multiple of [`ALIGNMENT`] in memory.
    start: usize,
    /// Bytes of all panels.
    len: usize,
    format: Format,
    /// Rows of the panels that are meant.
    rows: Range<usize>,
    width: usize,
}

impl fmt::Debug for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, width) = self.dims();
        write!(f, "Panels[{rows}, {width}; {}]", self.format)
    }
}

impl Panels {
    /// Puts `blocks` in order, on all threads.
    ///
    /// # Errors
    /// Too little memory.
    pub fn new(blocks: &Blocks) -> Result<Self> {
        let (dims, format) = (blocks.dims(), blocks.format());
        let bytes = Self::bytes_for(format, dims);
        let mut lines = Lines::zeros(bytes)?;
        arrange(
            format,
            dims.1,
            blocks.data(),
            &mut lines.bytes_mut()[..bytes],
        );
        Self::at(Arc::new(lines), 0, format, dims)
    }

    /// The matrix whose panels, as [`arranged`] gives them, begin at `start` of `bytes`.
    ///
    /// # Errors
    /// A row is no whole number of blocks, the bytes end too early, or they begin between two
    /// multiples of [`ALIGNMENT`].
    pub fn at(
        bytes: SharedBytes,
        start: usize,
        format: Format,
        (rows, width): (usize, usize),
    ) -> Result<Self> {
        if format.row_bytes(width).is_none() {
            bail!("rows of {width} values are no whole number of {format} blocks");
        }
        let (held, len) = ((*bytes).as_ref(), Self::bytes_for(format, (rows, width)));
        let end = start.checked_add(len);
        let Some(panels) = end.and_then(|end| held.get(start..end)) else {
            bail!(
                "{rows} rows of {width} {format} values from byte {start} are not in {}",
                held.len()
            );
        };
        if !panels.is_empty() && !panels.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            bail!("panels begin at byte {start}, which is no beginning of a cache line");
        }
        Ok(Self {
            bytes,
            start,
            len,
            format,
            rows: 0..rows,
            width,
        })
    }

    /// The same panels in memory of their own: in large pages, where those of a file are small.
    ///
    /// # Errors
    /// Too little memory.
    pub fn copied(&self) -> Result<Self> {
        const TOGETHER: usize = 1 << 20;
        let mut lines = Lines::zeros(self.len)?;
        lines.bytes_mut()[..self.len]
            .par_chunks_mut(TOGETHER)
            .zip(self.data().par_chunks(TOGETHER))
            .for_each(|(to, from)| to.copy_from_slice(from));
        Ok(Self {
            bytes: Arc::new(lines),
            start: 0,
            ..self.clone()
        })
    }

    /// Bytes that a matrix takes.
    pub const fn bytes_for(format: Format, (rows, width): (usize, usize)) -> usize {
        rows.div_ceil(LANES) * panel_bytes(format, width)
    }

    /// How it is quantised.
    pub fn format(&self) -> Format {
        self.format
    }

    /// `[rows, width]`.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows.len(), self.width)
    }

    /// Bytes of the matrix that its rows are of.
    pub fn bytes(&self) -> usize {
        self.len
    }

    fn panel_bytes(&self) -> usize {
        panel_bytes(self.format, self.width)
    }

    /// Its panels, one after another.
    pub(super) fn data(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.start..][..self.len]
    }

    /// Panel `index` of the whole matrix.
    fn panel(&self, index: usize) -> &[u8] {
        let len = self.panel_bytes();
        &self.data()[index * len..][..len]
    }

    /// Some of its rows, without a copy.
    ///
    /// # Errors
    /// The range is not inside.
    pub fn narrow(&self, rows: Range<usize>) -> Result<Self> {
        if rows.start > rows.end || rows.end > self.rows.len() {
            bail!("rows {rows:?} of a matrix of {}", self.rows.len());
        }
        Ok(Self {
            rows: self.rows.start + rows.start..self.rows.start + rows.end,
            ..self.clone()
        })
    }

    /// `x` `[n, width]` (f32) times each of the transposed matrices, in one go: `[n, rows]` of each.
    ///
    /// # Errors
    /// Another width, dtype or device.
    #[expect(unsafe_code, reason = "the outputs are written before they are read")]
    pub fn linear(matrices: &[&Self], x: &Tensor) -> Result<Vec<Tensor>> {
        let dims: Vec<_> = matrices.iter().map(|matrix| matrix.dims()).collect();
        let (n, width) = x.dims2()?;
        let fill = |x: &[f32], outputs: &mut [&mut [f32]]| {
            let closeness = if n <= FEW_ROWS {
                Closeness::Full
            } else {
                Closeness::Rounded
            };
            products(matrices, &Activations::new(x, width, closeness), outputs);
        };
        // SAFETY: the tasks are all rows of all panels.
        unsafe { outputs_of(&dims, x, fill) }
    }

    /// The rows of `ids`, which are below the number of rows: `[ids, width]`, f32.
    ///
    /// # Errors
    /// An id is too large.
    pub fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        let mut out = Vec::with_capacity(ids.len() * self.width);
        for id in ids {
            let row = self.rows.start + *id as usize;
            if row >= self.rows.end {
                bail!("row {id} of a matrix of {}", self.rows.len());
            }
            let panel = self.panel(row / LANES);
            for block in panel.chunks_exact(self.format.panel_block_bytes()) {
                product::decode_lane(self.format, block, row % LANES, &mut out);
            }
        }
        Tensor::from_vec(out, (ids.len(), self.width), &Device::Cpu)
    }

    /// Panels that hold its rows.
    fn panels(&self) -> Range<usize> {
        self.rows.start / LANES..self.rows.end.div_ceil(LANES)
    }
}

/// A part of one product: some panels of a matrix, some rows of the activations.
struct Task {
    matrix: usize,
    panels: Range<usize>,
    rows: Range<usize>,
}

/// The parts of products with `n` rows.
fn tasks(matrices: &[&Panels], n: usize) -> Vec<Task> {
    /// Weights times rows of a task: enough to make starting it cheap.
    const TASK_VALUES: usize = 128 * 1024;
    /// Activations that are read again for every two panels, so they must stay in a cache.
    const CACHED_VALUES: usize = 128 * 1024;
    let mut tasks = Vec::new();
    for (matrix, panels) in matrices.iter().enumerate() {
        let together = (CACHED_VALUES / panels.width).next_multiple_of(4).max(4);
        // An even number, since two panels are multiplied together.
        let group = (TASK_VALUES / (LANES * panels.width * n.min(together)))
            .next_multiple_of(2)
            .max(2);
        for first_row in (0..n).step_by(together) {
            for first in panels.panels().step_by(group) {
                tasks.push(Task {
                    matrix,
                    panels: first..(first + group).min(panels.panels().end),
                    rows: first_row..(first_row + together).min(n),
                });
            }
        }
    }
    tasks
}

/// Fills an output `[n, rows]` for every matrix.
#[expect(unsafe_code, reason = "tasks write disjoint parts of the output")]
fn products(matrices: &[&Panels], x: &Activations, outputs: &mut [&mut [f32]]) {
    let outputs: Vec<_> = outputs.iter_mut().map(|out| SharedOut::new(out)).collect();
    let tasks = tasks(matrices, x.rows());
    tasks.par_iter().with_max_len(1).for_each(|task| {
        let (matrix, out) = (matrices[task.matrix], &outputs[task.matrix]);
        let (meant, len) = (&matrix.rows, matrix.panel_bytes());
        for panel in task.panels.clone().step_by(2) {
            let together = (task.panels.end - panel).min(2);
            let data = &matrix.data()[panel * len..][..together * len];
            product::multiply(
                matrix.format,
                data,
                x,
                task.rows.clone(),
                |row, column, sums| {
                    // Rows of the panels that are not meant are left out.
                    let from = panel * LANES + column;
                    let wanted = from.max(meant.start)..(from + LANES).min(meant.end);
                    if wanted.is_empty() {
                        return;
                    }
                    let place = row * meant.len() + wanted.start - meant.start;
                    // SAFETY: these rows of the panel belong to one task.
                    let out = unsafe { out.slice(place, wanted.len()) };
                    out.copy_from_slice(&sums[wanted.start - from..wanted.end - from]);
                },
            );
        }
    });
}

/// Bytes of a panel of rows of `width` values.
const fn panel_bytes(format: Format, width: usize) -> usize {
    width / format.block_values() * format.panel_block_bytes()
}

/// The panels of a matrix `[rows, width]` whose blocks are `data`, as a file keeps them.
///
/// # Errors
/// Too little memory.
pub fn arranged(format: Format, dims: (usize, usize), data: &[u8]) -> Result<Vec<u8>> {
    let bytes = Panels::bytes_for(format, dims);
    let mut out = with_room(bytes)?;
    out.resize(bytes, 0);
    arrange(format, dims.1, data, &mut out);
    Ok(out)
}

/// Writes blocks in rows of `width` values to panels of zeros, on all threads.
fn arrange(format: Format, width: usize, data: &[u8], panels: &mut [u8]) {
    let (panel, row) = (panel_bytes(format, width), format.row_bytes(width));
    let Some(row) = row.filter(|_| !panels.is_empty()) else {
        return;
    };
    panels
        .par_chunks_mut(panel)
        .zip(data.par_chunks(LANES * row))
        .for_each(|(panel, rows)| fill(format, rows, row, panel));
}

/// Writes up to [`LANES`] rows of blocks to a panel of zeros.
fn fill(format: Format, rows: &[u8], row_bytes: usize, panel: &mut [u8]) {
    for (lane, row) in rows.chunks_exact(row_bytes).enumerate() {
        let blocks = row.chunks_exact(format.block_bytes());
        for (block, panel) in blocks.zip(panel.chunks_exact_mut(format.panel_block_bytes())) {
            let mut half = |to: usize, from: usize| {
                panel[to + 2 * lane..][..2].copy_from_slice(&block[from..from + 2]);
            };
            match format {
                Format::Q8_0 => {
                    half(0, 0);
                    planes(panel, at::Q8_0_VALUES, lane, &block[2..]);
                }
                Format::Q4K | Format::Q5K => {
                    half(0, 0);
                    half(at::MINIMUM, 2);
                    let mut packed = [0; 12];
                    packed.copy_from_slice(&block[4..16]);
                    let (scales, minima) = six_bits(&packed);
                    for part in 0..8 {
                        panel[at::SCALES + part * LANES + lane] = scales[part];
                        panel[at::MINIMA + part * LANES + lane] = minima[part];
                    }
                    // In a file the fifth bits come first as well.
                    planes(panel, at::AFTER_MINIMA, lane, &block[16..]);
                }
                Format::Q6K => {
                    half(0, 208);
                    for (run, scale) in block[192..208].iter().enumerate() {
                        panel[at::Q6K_SCALES + run * LANES + lane] = *scale;
                    }
                    planes(panel, at::Q6K_VALUES, lane, &three_for_four(block));
                }
            }
        }
    }
}

/// The values of a `Q6_K` block, in planes as panels have them.
fn three_for_four(block: &[u8]) -> [u8; 6 * PART] {
    let values = six_bit_values(block);
    let mut out = [0; 6 * PART];
    for (planes, parts) in out
        .chunks_exact_mut(3 * PART)
        .zip(values.chunks_exact(4 * PART))
    {
        for (i, byte) in planes.iter_mut().enumerate() {
            let (plane, value) = (i / PART, i % PART);
            *byte = parts[i] | (parts[3 * PART + value] >> (2 * plane) & 3) << 6;
        }
    }
    out
}

/// Spreads planes of 32 bytes over the pairs of a lane.
fn planes(panel: &mut [u8], start: usize, lane: usize, data: &[u8]) {
    let planes = panel[start..].chunks_exact_mut(PLANE);
    for (plane, data) in planes.zip(data.chunks_exact(PART)) {
        for (pair, data) in plane.chunks_exact_mut(2 * LANES).zip(data.chunks_exact(2)) {
            pair[2 * lane..][..2].copy_from_slice(data);
        }
    }
}
