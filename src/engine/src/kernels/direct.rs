//! A convolution as one [`tile`](super::tile) loop, without im2col.
//!
//! A task owns a block of output columns and a group of output rows. It copies the input it needs
//! once, block of channels by block of channels, into a buffer that stays in the second-level
//! cache, and every tap of the kernel reads that buffer at its own offset. The copy is also where
//! zero padding, a stride (each phase of the stride becomes a row of its own) and an elementwise
//! function of the input are taken care of.

use super::parallel::for_each_with_scratch;
use super::tile::{COLUMNS, Packed, Panel, accumulate};

/// Largest number of output columns of a task.
const BLOCK_COLUMNS: usize = 480;
/// Smallest: with fewer, copying weighs more than computing.
const MIN_BLOCK_COLUMNS: usize = 96;
/// Output rows of a task, at most.
const GROUP_ROWS: usize = 192;
/// Output rows of a task when there would be few tasks.
const MIN_GROUP_ROWS: usize = 48;
/// Enough tasks to keep the threads of a large machine busy. A constant, so that the split
/// depends on shapes alone.
const ENOUGH_TASKS: usize = 64;
/// Values of the input copy: 256 KiB, a quarter to a half of a second-level cache.
const INPUT_VALUES: usize = 64 * 1024;

/// Where a tap of the kernel reads: which row of a channel, how many columns on.
#[derive(Debug, Clone, Copy)]
struct Tap {
    phase: usize,
    shift: usize,
}

/// A convolution prepared for a CPU: `rows` outputs a column from `channels` inputs.
#[derive(Debug, Clone)]
pub(super) struct Direct {
    packed: Packed,
    bias: Option<Vec<f32>>,
    rows: usize,
    channels: usize,
    stride: usize,
    phases: Vec<usize>,
    taps: Vec<Tap>,
    max_shift: usize,
}

/// The input of one batch item, and how columns lie on it.
pub(super) struct Input<'a> {
    /// `[channels, len]`, contiguous.
    pub(super) data: &'a [f32],
    pub(super) len: usize,
    /// Input position of position 0 of column 0; negative inside the padding.
    pub(super) origin: isize,
    /// Applied to each copied row of a channel; must map zero to zero, since padding passes it.
    pub(super) prologue: Option<&'a Prologue<'a>>,
}

/// Changes one copied row of a channel in place.
pub(super) type Prologue<'a> = dyn Fn(usize, &mut [f32]) + Sync + 'a;

/// Finished columns of one output row.
pub(super) struct Finished<'a> {
    pub(super) row: usize,
    pub(super) first_column: usize,
    pub(super) values: &'a [f32],
}

struct Scratch {
    input: Vec<f32>,
    output: Vec<f32>,
    offsets: Vec<u32>,
}

impl Direct {
    /// `positions[k]` is how far tap `k` reads from the first position of its column; `weight`
    /// gives the factor of `(row, channel, tap)`, `bias` one value a row.
    pub(super) fn new(
        rows: usize,
        channels: usize,
        stride: usize,
        positions: &[usize],
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: Option<Vec<f32>>,
    ) -> Self {
        let mut phases: Vec<usize> = positions.iter().map(|position| position % stride).collect();
        phases.sort_unstable();
        phases.dedup();
        let taps: Vec<Tap> = positions
            .iter()
            .map(|position| Tap {
                phase: phases.partition_point(|&phase| phase < position % stride),
                shift: position / stride,
            })
            .collect();
        let count = taps.len();
        Self {
            packed: Packed::new(rows, channels * count, |row, r| {
                weight(row, r / count, r % count)
            }),
            bias,
            rows,
            channels,
            stride,
            max_shift: taps.iter().map(|tap| tap.shift).max().unwrap_or(0),
            phases,
            taps,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// Computes `columns` columns of every row and hands them to `emit`, each exactly once, from
    /// several threads.
    pub(super) fn run(
        &self,
        input: &Input<'_>,
        columns: usize,
        emit: impl Fn(&Finished<'_>) + Sync + Send,
    ) {
        if columns == 0 || self.rows == 0 {
            return;
        }
        let block = (columns / 16)
            .next_multiple_of(MIN_BLOCK_COLUMNS)
            .clamp(MIN_BLOCK_COLUMNS, BLOCK_COLUMNS);
        let blocks = columns.div_ceil(block);
        let panel_rows = super::tile::panel_rows();
        let group_rows = if blocks * self.rows.div_ceil(GROUP_ROWS) < ENOUGH_TASKS {
            MIN_GROUP_ROWS
        } else {
            GROUP_ROWS
        };
        let groups: Vec<&[Panel]> = self
            .packed
            .panels()
            .chunks(group_rows / panel_rows)
            .collect();

        // Rows of the input copy must not lie a power of two apart, or they share cache sets.
        let ld = ((block + self.max_shift).div_ceil(16) | 1) * 16;
        let channel_values = self.phases.len() * ld;
        let channel_block = (INPUT_VALUES / channel_values).clamp(1, self.channels.max(1));

        for_each_with_scratch(
            blocks * groups.len(),
            || Scratch {
                input: vec![0.0; channel_block * channel_values],
                output: Vec::new(),
                offsets: self.offsets(channel_block, ld),
            },
            |scratch, task| {
                let group = groups[task % groups.len()];
                let first_column = task / groups.len() * block;
                let width = block.min(columns - first_column);
                let padded = width.next_multiple_of(COLUMNS);
                let origin = input.origin + (first_column * self.stride) as isize;

                self.start_output(group, &mut scratch.output, padded);
                for first in (0..self.channels).step_by(channel_block) {
                    let last = (first + channel_block).min(self.channels);
                    self.copy_input(
                        input,
                        first..last,
                        origin,
                        ld,
                        padded + self.max_shift,
                        &mut scratch.input,
                    );
                    let taps = self.taps.len();
                    let offsets = &scratch.offsets[..(last - first) * taps];
                    let mut output = scratch.output.as_mut_slice();
                    for panel in group {
                        let (mine, rest) = output.split_at_mut(panel.size * padded);
                        let weights = self.packed.slice(panel, first * taps, last * taps);
                        accumulate(weights, offsets, &scratch.input, mine, padded, padded);
                        output = rest;
                    }
                }
                let mut output = scratch.output.as_slice();
                for panel in group {
                    let (mine, rest) = output.split_at(panel.size * padded);
                    for (i, values) in mine.chunks_exact(padded).take(panel.rows).enumerate() {
                        emit(&Finished {
                            row: panel.first_row + i,
                            first_column,
                            values: &values[..width],
                        });
                    }
                    output = rest;
                }
            },
        );
    }

    fn offsets(&self, channels: usize, ld: usize) -> Vec<u32> {
        (0..channels)
            .flat_map(|channel| {
                self.taps.iter().map(move |tap| {
                    ((channel * self.phases.len() + tap.phase) * ld + tap.shift) as u32
                })
            })
            .collect()
    }

    /// Every row starts from its bias.
    fn start_output(&self, group: &[Panel], output: &mut Vec<f32>, padded: usize) {
        output.clear();
        for panel in group {
            for i in 0..panel.size {
                let bias = match &self.bias {
                    Some(bias) if i < panel.rows => bias[panel.first_row + i],
                    _ => 0.0,
                };
                output.extend(std::iter::repeat_n(bias, padded));
            }
        }
    }

    /// Copies `width` columns of every phase of `channels`, zeros outside the input.
    fn copy_input(
        &self,
        input: &Input<'_>,
        channels: std::ops::Range<usize>,
        origin: isize,
        ld: usize,
        width: usize,
        copy: &mut [f32],
    ) {
        let columns_before = |position: isize| (position.max(0) as usize).div_ceil(self.stride);
        let mut rows = copy.chunks_exact_mut(ld);
        for channel in channels {
            let source = &input.data[channel * input.len..][..input.len];
            for &phase in &self.phases {
                let Some(row) = rows.next() else { return };
                // Column t lies at `start + t * stride`.
                let start = origin + phase as isize;
                let first = columns_before(-start).min(width);
                let end = columns_before(input.len as isize - start).clamp(first, width);
                row[..first].fill(0.0);
                row[end..width].fill(0.0);
                if first < end {
                    let at = (start + (first * self.stride) as isize) as usize;
                    let row = &mut row[first..end];
                    if self.stride == 1 {
                        row.copy_from_slice(&source[at..at + row.len()]);
                    } else {
                        for (value, source) in
                            row.iter_mut().zip(source[at..].iter().step_by(self.stride))
                        {
                            *value = *source;
                        }
                    }
                    if let Some(prologue) = input.prologue {
                        prologue(channel, row);
                    }
                }
            }
        }
    }
}
