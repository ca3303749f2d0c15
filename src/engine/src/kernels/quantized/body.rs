//! The products of panels in vectors of sixteen outputs: one body for every instruction set.
//!
//! The loops over blocks, runs and pairs are written once, over a few primitives that a module for
//! each instruction set has ([`kernel`] lists them). Integers are exact and the floating-point steps
//! are the same, so all of them give the same bits.

use super::{blocks::Format, panels::LANES};

/// Takes a row, a first output and the outputs from there.
pub(super) type Put<'a> = &'a mut dyn FnMut(usize, usize, &[f32; LANES]);

/// By discriminant.
pub(super) const FORMATS: [Format; 4] = Format::ALL;

/// The bits of a byte that hold a part's four bits. The upper ones are not shifted: what is sixteen
/// times as much gets a sixteenth of the scale, which costs no bit.
pub(super) fn nibble(part: usize) -> i8 {
    if part.is_multiple_of(2) { 0x0f } else { !0x0f }
}

/// `multiply` for an instruction set whose module has these, on [`LANES`] lanes:
///
/// - `Bytes`, the 32 bytes of a pair of all lanes: `load`; `and` with a byte; `or`; `right`, a shift
///   that may pull in bits of the neighbouring byte; `left_by_4`, of bytes below 16;
/// - the weights of a pair: `no_weights`, and from bytes `signed` and `unsigned`;
/// - the integers of a run: `no_int`, `whole`, `add`, and `dot`, which adds the products of weights
///   with the two activations of `both`;
/// - `Floats`: `zero`, `all`, `float` of integers, `times`, `plus_product` and `minus_product`
///   (rounded once); read from memory `halves`, `bytes` and `signed_bytes`; `lanes` of them;
/// - `rows`, which cuts rows and panels into calls of `block` whose sums fit the registers.
macro_rules! kernel {
    ($features:literal) => {
        /// Values of pair `index` of a part, a byte each: with a sign in Q8_0, 32 too much in Q6_K,
        /// and in Q4_K where [`nibble`] says.
        ///
        /// # Safety
        /// `block` is a whole block of a panel, `part` and `index` are inside.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn pair_bytes<const FORMAT: u8>(
            block: *const u8,
            part: usize,
            index: usize,
        ) -> Bytes {
            // SAFETY: `start` is a plane of the block's format; 32 bytes are there.
            let plane = |start: usize| unsafe { load(block.add(start + index * 2 * LANES)) };
            if FORMAT == Format::Q8_0 as u8 {
                plane(at::Q8_0_VALUES)
            } else if FORMAT == Format::Q4K as u8 {
                and(plane(at::AFTER_MINIMA + part / 2 * PLANE), nibble(part))
            } else if FORMAT == Format::Q5K as u8 {
                let low = right(plane(at::Q5K_NIBBLES + part / 2 * PLANE), part % 2 * 4);
                let bit = right(plane(at::AFTER_MINIMA), part);
                or(and(low, 15), left_by_4(and(bit, 1)))
            } else {
                let start = at::Q6K_VALUES + part / 4 * 3 * PLANE;
                let own = part % 4;
                if own < 3 {
                    and(plane(start + own * PLANE), 0x3f)
                } else {
                    let first = and(right(plane(start), 6), 0x03);
                    let second = and(right(plane(start + PLANE), 4), 0x0c);
                    let third = and(right(plane(start + 2 * PLANE), 2), 0x30);
                    or(or(first, second), third)
                }
            }
        }

        /// Scales of a run of all lanes.
        ///
        /// # Safety
        /// `block` is a whole block of a panel, `part` and `run` are inside.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn scale<const FORMAT: u8>(block: *const u8, part: usize, run: usize) -> Floats {
            // SAFETY: as the caller promises.
            let scale = unsafe { halves(block) };
            if FORMAT == Format::Q8_0 as u8 {
                return scale;
            }
            if FORMAT == Format::Q6K as u8 {
                // SAFETY: as above.
                return times(scale, unsafe {
                    signed_bytes(block.add(at::Q6K_SCALES + run * LANES))
                });
            }
            // SAFETY: as above.
            let scale = times(scale, unsafe { bytes(block.add(at::SCALES + run * LANES)) });
            if FORMAT == Format::Q4K as u8 && part % 2 == 1 {
                times(scale, all(1.0 / 16.0))
            } else {
                scale
            }
        }

        /// What is taken off a part of all lanes.
        ///
        /// # Safety
        /// `block` is a whole block of a panel with minima, `part` is inside.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn minimum(block: *const u8, part: usize) -> Floats {
            // SAFETY: as the caller promises.
            unsafe {
                let own = bytes(block.add(at::MINIMA + part * LANES));
                times(halves(block.add(at::MINIMUM)), own)
            }
        }

        /// `N` panels times `R` rows of `x` from `row`, `A` sums of integers for each at once, in
        /// `I` kinds of integers: the values, and the rest.
        #[target_feature(enable = $features)]
        fn block<
            const FORMAT: u8,
            const R: usize,
            const N: usize,
            const A: usize,
            const I: usize,
        >(
            data: &[u8],
            x: &Activations,
            row: usize,
            put: Put<'_>,
        ) {
            let kinds = x.rest.as_ref().unwrap_or(&x.values);
            let kinds: [&Integers; I] =
                std::array::from_fn(|i| if i == 0 { &x.values } else { kinds });
            let format = FORMATS[FORMAT as usize];
            let (run_pairs, block_bytes) = (format.run_pairs(), format.panel_block_bytes());
            let (block_parts, parts) = (format.block_values() / PART, x.width / PART);
            let panel = x.width / format.block_values() * block_bytes;
            assert!(
                row + R <= x.rows() && data.len() >= N * panel && run_pairs.is_multiple_of(A),
                "the rows and panels are whole"
            );
            let values: [[_; I]; R] = std::array::from_fn(|r| {
                std::array::from_fn(|i| kinds[i].values[(row + r) * x.width..].as_ptr())
            });
            let scales: [_; R] = std::array::from_fn(|r| &x.scales[(row + r) * parts..][..parts]);
            let mut out = [[zero(); N]; R];
            for place in 0..parts {
                let (index, part) = (place / block_parts, place % block_parts);
                // SAFETY: block `index` of panel n begins there and is whole, as asserted.
                let blocks: [_; N] = std::array::from_fn(|n| unsafe {
                    data.as_ptr().add(n * panel + index * block_bytes)
                });
                for first in (0..PAIRS).step_by(run_pairs) {
                    let mut ints = [[[[no_int(); A]; I]; N]; R];
                    for step in (first..first + run_pairs).step_by(A) {
                        for a in 0..A {
                            let of = step + a;
                            let from = place * PART + 2 * of;
                            let mut w = [no_weights(); N];
                            for n in 0..N {
                                // SAFETY: a whole block, see above.
                                let bytes = unsafe { pair_bytes::<FORMAT>(blocks[n], part, of) };
                                w[n] = if FORMAT == Format::Q8_0 as u8 {
                                    signed(bytes)
                                } else {
                                    unsigned(bytes)
                                };
                            }
                            for r in 0..R {
                                for i in 0..I {
                                    // SAFETY: `from + 2 <= width`.
                                    let x = unsafe { both(values[r][i].add(from)) };
                                    for n in 0..N {
                                        ints[r][n][i][a] = dot(ints[r][n][i][a], w[n], x);
                                    }
                                }
                            }
                        }
                    }
                    let run = (part * PAIRS + first) / run_pairs;
                    for n in 0..N {
                        // SAFETY: a whole block, see above.
                        let scale = unsafe { scale::<FORMAT>(blocks[n], part, run) };
                        for r in 0..R {
                            let mut sum = zero();
                            for i in (0..I).rev() {
                                let mut int = ints[r][n][i][0];
                                for a in 1..A {
                                    int = add(int, ints[r][n][i][a]);
                                }
                                if FORMAT == Format::Q6K as u8 {
                                    let half = 2 * ((row + r) * parts + place) + first / (HALF / 2);
                                    int = add(int, whole(-32 * kinds[i].sums[half]));
                                }
                                // The rest comes first, and the values on top of it.
                                sum = if i + 1 == I {
                                    float(int)
                                } else {
                                    plus_product(float(int), sum, all(REST))
                                };
                            }
                            let sum = times(sum, all(scales[r][place]));
                            out[r][n] = plus_product(out[r][n], sum, scale);
                        }
                    }
                }
                if FORMAT == Format::Q4K as u8 || FORMAT == Format::Q5K as u8 {
                    for n in 0..N {
                        // SAFETY: a whole block, see above.
                        let minimum = unsafe { minimum(blocks[n], part) };
                        for r in 0..R {
                            let sum = all(scales[r][place] * x.part_sum(row + r, place));
                            out[r][n] = minus_product(out[r][n], minimum, sum);
                        }
                    }
                }
            }
            for r in 0..R {
                for n in 0..N {
                    put(row + r, n * LANES, &lanes(out[r][n]));
                }
            }
        }

        #[target_feature(enable = $features)]
        pub(super) fn multiply(
            format: Format,
            data: &[u8],
            x: &Activations,
            some: Range<usize>,
            put: Put<'_>,
        ) {
            if x.rest.is_some() {
                of_kinds::<2>(format, data, x, some, put);
            } else {
                of_kinds::<1>(format, data, x, some, put);
            }
        }

        #[target_feature(enable = $features)]
        fn of_kinds<const I: usize>(
            format: Format,
            data: &[u8],
            x: &Activations,
            some: Range<usize>,
            put: Put<'_>,
        ) {
            match format {
                Format::Q8_0 => rows::<{ Format::Q8_0 as u8 }, I>(data, x, some, put),
                Format::Q4K => rows::<{ Format::Q4K as u8 }, I>(data, x, some, put),
                Format::Q5K => rows::<{ Format::Q5K as u8 }, I>(data, x, some, put),
                Format::Q6K => rows::<{ Format::Q6K as u8 }, I>(data, x, some, put),
            }
        }
    };
}
pub(super) use kernel;
