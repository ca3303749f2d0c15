//! Decoding in registers: 32 values of a block become vectors of f32, which are multiplied at
//! once (or stored). Sums are kept and folded as in [`matvec`](super::super::matvec), so the bits
//! are the same.
#![expect(unsafe_code, reason = "intrinsics of an instruction set")]

use std::arch::x86_64::{
    __m128, __m256, __m512, _mm_cvtph_ps, _mm_cvtsi64_si128, _mm_cvtss_f32, _mm_loadl_epi64,
    _mm_loadu_si128, _mm_movehdup_ps, _mm_permute_ps, _mm256_and_si256, _mm256_broadcastss_ps,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_fmadd_ps,
    _mm256_fmsub_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_srlv_epi32, _mm256_storeu_ps,
    _mm256_sub_epi32, _mm512_and_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_fmadd_ps, _mm512_fmsub_ps, _mm512_loadu_ps, _mm512_mul_ps,
    _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32,
    _mm512_srlv_epi32, _mm512_storeu_ps, _mm512_sub_epi32,
};

use super::blocks::{Format, PART, six_bits};
use crate::kernels::matvec::{OUTPUTS, fold};

/// Scales of a block before its values are looked at. A format uses what it has.
#[derive(Clone, Copy)]
struct Scales {
    /// One for every 32 values; in Q6_K for every 16.
    scales: [f32; 16],
    /// What is taken off, one for every 32 values.
    minima: [f32; 8],
}

impl Scales {
    const NONE: Self = Self {
        scales: [0.0; 16],
        minima: [0.0; 8],
    };
}

// Loops are written out: a closure inside a function of an instruction set is a function of its
// own, which the compiler may leave as a call for every vector.

/// Four halves from memory. Reading one by itself inserts it into a register whose last value it
/// then waits for, and that is a sum of the block before.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn halves(at: *const u8) -> __m128 {
    // SAFETY: the caller's block has eight bytes there.
    _mm_cvtph_ps(unsafe { _mm_loadl_epi64(at.cast()) })
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn scales_q8(block: *const u8) -> f32 {
    // SAFETY: a block begins with its scale and has 34 bytes.
    _mm_cvtss_f32(unsafe { halves(block) })
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn floats(bytes: [u8; 8]) -> __m256 {
    let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(bytes));
    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
}

/// Q4_K and Q5_K begin alike.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn scales_with_minima(block: *const u8) -> Scales {
    // SAFETY: the block has 16 bytes of scales in front.
    let (halves, packed) = unsafe {
        (
            halves(block),
            block.add(4).cast::<[u8; 12]>().read_unaligned(),
        )
    };
    let scale = _mm256_broadcastss_ps(halves);
    let minimum = _mm256_broadcastss_ps(_mm_movehdup_ps(halves));
    let (scales, minima) = six_bits(&packed);
    let mut all = Scales::NONE;
    // SAFETY: the arrays hold eight values and more.
    unsafe {
        _mm256_storeu_ps(
            all.scales.as_mut_ptr(),
            _mm256_mul_ps(scale, floats(scales)),
        );
        _mm256_storeu_ps(
            all.minima.as_mut_ptr(),
            _mm256_mul_ps(minimum, floats(minima)),
        );
    }
    all
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn scales_q6(block: *const u8) -> Scales {
    let mut all = Scales::NONE;
    // SAFETY: bytes 192 to 210 of the block, and an array of 16 values.
    unsafe {
        // The scale is the last of the block's last four halves.
        let scale = _mm256_broadcastss_ps(_mm_permute_ps::<0xff>(halves(block.add(202))));
        for part in 0..2 {
            let own = _mm_loadl_epi64(block.add(192 + part * 8).cast());
            let own = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(own));
            _mm256_storeu_ps(
                all.scales.as_mut_ptr().add(part * 8),
                _mm256_mul_ps(scale, own),
            );
        }
    }
    all
}

macro_rules! isa {
    ($module:ident, $features:literal, $lanes:literal, $vector:ident, $load8:path,
     set1 $set1:ident, unsigned $unsigned:ident, signed $signed:ident, float $float:ident,
     mul $mul:ident, fmsub $fmsub:ident, fma $fma:ident, zero $zero:ident, load $load:ident, store $store:ident,
     int1 $int1:ident, srlv $srlv:ident, slli4 $slli4:path, and $and:ident, or $or:ident, sub $sub:ident) => {
        mod $module {
            use super::*;

            /// Vectors of a part.
            const VECTORS: usize = PART / $lanes;
            type Values = [$vector; VECTORS];

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn q8_0(block: *const u8, _part: usize, scale: &f32) -> Values {
                let scale = $set1(*scale);
                let mut out = [$zero(); VECTORS];
                for (i, out) in out.iter_mut().enumerate() {
                    // SAFETY: the 32 bytes after the scale.
                    let q = $signed(unsafe { $load8(block.add(2 + i * $lanes).cast()) });
                    *out = $mul($float(q), scale);
                }
                out
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn q4k(block: *const u8, part: usize, all: &Scales) -> Values {
                let (scale, minimum) = ($set1(all.scales[part]), $set1(all.minima[part]));
                let shift = $int1((part % 2 * 4) as i32);
                let mut out = [$zero(); VECTORS];
                for (i, out) in out.iter_mut().enumerate() {
                    let at = 16 + part / 2 * PART + i * $lanes;
                    // SAFETY: `part` is below 8, so this is inside the 128 bytes after the scales.
                    let q = $unsigned(unsafe { $load8(block.add(at).cast()) });
                    let q = $and($srlv(q, shift), $int1(15));
                    *out = $fmsub($float(q), scale, minimum);
                }
                out
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn q5k(block: *const u8, part: usize, all: &Scales) -> Values {
                let (scale, minimum) = ($set1(all.scales[part]), $set1(all.minima[part]));
                let (shift, bit) = ($int1((part % 2 * 4) as i32), $int1(part as i32));
                let mut out = [$zero(); VECTORS];
                for (i, out) in out.iter_mut().enumerate() {
                    let at = 48 + part / 2 * PART + i * $lanes;
                    // SAFETY: `part` is below 8, so these are inside the block.
                    let (q, high) = unsafe {
                        (
                            $unsigned($load8(block.add(at).cast())),
                            $unsigned($load8(block.add(16 + i * $lanes).cast())),
                        )
                    };
                    let high = $slli4($and($srlv(high, bit), $int1(1)));
                    let q = $or($and($srlv(q, shift), $int1(15)), high);
                    *out = $fmsub($float(q), scale, minimum);
                }
                out
            }

            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn q6k(block: *const u8, part: usize, all: &Scales) -> Values {
                let (side, quarter) = (part / 4, part % 4);
                let (shift, pair) = (
                    $int1((quarter / 2 * 4) as i32),
                    $int1((quarter * 2) as i32),
                );
                let mut out = [$zero(); VECTORS];
                for (i, out) in out.iter_mut().enumerate() {
                    let scale = $set1(all.scales[part * 2 + i * $lanes / 16]);
                    let low = side * 64 + quarter % 2 * PART + i * $lanes;
                    // SAFETY: `part` is below 8, so these are inside the block.
                    let (q, high) = unsafe {
                        (
                            $unsigned($load8(block.add(low).cast())),
                            $unsigned($load8(block.add(128 + side * PART + i * $lanes).cast())),
                        )
                    };
                    let high = $slli4($and($srlv(high, pair), $int1(3)));
                    let q = $or($and($srlv(q, shift), $int1(15)), high);
                    *out = $mul($float($sub(q, $int1(32))), scale);
                }
                out
            }

            isa!(@format $features, $lanes, $zero, $load, $store, $fma, Format::Q8_0, dots_q8_0, decode_q8_0, scales_q8, q8_0);
            isa!(@format $features, $lanes, $zero, $load, $store, $fma, Format::Q4K, dots_q4k, decode_q4k, scales_with_minima, q4k);
            isa!(@format $features, $lanes, $zero, $load, $store, $fma, Format::Q5K, dots_q5k, decode_q5k, scales_with_minima, q5k);
            isa!(@format $features, $lanes, $zero, $load, $store, $fma, Format::Q6K, dots_q6k, decode_q6k, scales_q6, q6k);

            #[target_feature(enable = $features)]
            pub(super) fn decode(format: Format, data: &[u8], out: &mut [f32]) {
                match format {
                    Format::Q8_0 => decode_q8_0(data, out),
                    Format::Q4K => decode_q4k(data, out),
                    Format::Q5K => decode_q5k(data, out),
                    Format::Q6K => decode_q6k(data, out),
                }
            }

            /// `O` rows of weights times `R` rows of `x`.
            #[target_feature(enable = $features)]
            pub(super) fn dots<const O: usize, const R: usize>(
                format: Format,
                data: &[u8],
                x: &[f32],
                width: usize,
                out: &mut [[f32; R]; O],
            ) {
                match format {
                    Format::Q8_0 => dots_q8_0(data, x, width, out),
                    Format::Q4K => dots_q4k(data, x, width, out),
                    Format::Q5K => dots_q5k(data, x, width, out),
                    Format::Q6K => dots_q6k(data, x, width, out),
                }
            }
        }
    };
    (@format $features:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $fma:ident,
     $format:expr, $dots:ident, $decode:ident, $scales:ident, $values:ident) => {
        #[target_feature(enable = $features)]
        fn $dots<const O: usize, const R: usize>(
            data: &[u8],
            x: &[f32],
            width: usize,
            out: &mut [[f32; R]; O],
        ) {
            const BLOCK: usize = $format.block_values();
            const BYTES: usize = $format.block_bytes();
            let row_bytes = width / BLOCK * BYTES;
            assert!(
                width.is_multiple_of(BLOCK) && data.len() == O * row_bytes && x.len() == R * width,
                "the rows are whole"
            );
            let mut sums = [[$zero(); R]; O];
            for block in 0..width / BLOCK {
                // One row after another: the parts of a block are unrolled, and the next row's sums
                // do not wait for this one's.
                for o in 0..O {
                    // SAFETY: row o begins at o * row_bytes and has this block, as asserted.
                    let at = unsafe { data.as_ptr().add(o * row_bytes + block * BYTES) };
                    // SAFETY: as above.
                    let scales = unsafe { $scales(at) };
                    for part in 0..BLOCK / PART {
                        // SAFETY: a whole block, see above, and a part of it.
                        let values = unsafe { $values(at, part, &scales) };
                        let first = block * BLOCK + part * PART;
                        for (i, w) in values.iter().enumerate() {
                            for r in 0..R {
                                // SAFETY: `first + PART <= width`; row r begins at r * width.
                                let x = unsafe {
                                    $load(x.as_ptr().add(r * width + first + i * $lanes))
                                };
                                sums[o][r] = $fma(*w, x, sums[o][r]);
                            }
                        }
                    }
                }
            }
            for o in 0..O {
                for r in 0..R {
                    let mut lanes = [0f32; $lanes];
                    // SAFETY: the array holds one vector.
                    unsafe { $store(lanes.as_mut_ptr(), sums[o][r]) };
                    out[o][r] = fold(lanes);
                }
            }
        }

        #[target_feature(enable = $features)]
        fn $decode(data: &[u8], out: &mut [f32]) {
            const BLOCK: usize = $format.block_values();
            let blocks = data.chunks_exact($format.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK)) {
                let block = block.as_ptr();
                // SAFETY: a whole block.
                let scales = unsafe { $scales(block) };
                for (part, out) in out.chunks_exact_mut(PART).enumerate() {
                    // SAFETY: a whole block, and a part of it.
                    let values = unsafe { $values(block, part, &scales) };
                    for (out, value) in out.chunks_exact_mut($lanes).zip(values) {
                        // SAFETY: the chunk holds one vector.
                        unsafe { $store(out.as_mut_ptr(), value) };
                    }
                }
            }
        }
    };
}

isa!(wide, "avx512f,avx2,fma,f16c", 16, __m512, _mm_loadu_si128,
    set1 _mm512_set1_ps, unsigned _mm512_cvtepu8_epi32, signed _mm512_cvtepi8_epi32, float _mm512_cvtepi32_ps,
    mul _mm512_mul_ps, fmsub _mm512_fmsub_ps, fma _mm512_fmadd_ps, zero _mm512_setzero_ps, load _mm512_loadu_ps, store _mm512_storeu_ps,
    int1 _mm512_set1_epi32, srlv _mm512_srlv_epi32, slli4 _mm512_slli_epi32::<4>, and _mm512_and_si512, or _mm512_or_si512, sub _mm512_sub_epi32);
isa!(narrow, "avx2,fma,f16c", 8, __m256, _mm_loadl_epi64,
    set1 _mm256_set1_ps, unsigned _mm256_cvtepu8_epi32, signed _mm256_cvtepi8_epi32, float _mm256_cvtepi32_ps,
    mul _mm256_mul_ps, fmsub _mm256_fmsub_ps, fma _mm256_fmadd_ps, zero _mm256_setzero_ps, load _mm256_loadu_ps, store _mm256_storeu_ps,
    int1 _mm256_set1_epi32, srlv _mm256_srlv_epi32, slli4 _mm256_slli_epi32::<4>, and _mm256_and_si256, or _mm256_or_si256, sub _mm256_sub_epi32);

macro_rules! entry {
    ($decode:ident, $dots:ident, $module:ident, $step:literal) => {
        pub(super) fn $decode(format: Format, data: &[u8], out: &mut [f32]) {
            // SAFETY: the caller asked `simd::isa`, which found this instruction set.
            unsafe { $module::decode(format, data, out) }
        }

        /// The product of every row of `data` with every row of `x`, `[outputs, n]`.
        pub(super) fn $dots(format: Format, data: &[u8], x: &[f32], width: usize, out: &mut [f32]) {
            let n = x.len() / width;
            let row_bytes = width / format.block_values() * format.block_bytes();
            let mut first = 0;
            while first < out.len() / n {
                let outputs = if out.len() / n - first >= OUTPUTS {
                    OUTPUTS
                } else {
                    1
                };
                let data = &data[first * row_bytes..][..outputs * row_bytes];
                let out = &mut out[first * n..][..outputs * n];
                let mut row = 0;
                while row < n {
                    // Blocks of another size give the same bits.
                    let rows = match n - row {
                        4.. if $step == 4 => 4,
                        2.. => 2,
                        _ => 1,
                    };
                    let x = &x[row * width..][..rows * width];
                    // SAFETY: as above.
                    unsafe {
                        match (outputs, rows) {
                            (OUTPUTS, 4) => place::<OUTPUTS, 4>(out, n, row, |block| {
                                $module::dots(format, data, x, width, block);
                            }),
                            (OUTPUTS, 2) => place::<OUTPUTS, 2>(out, n, row, |block| {
                                $module::dots(format, data, x, width, block);
                            }),
                            (OUTPUTS, _) => place::<OUTPUTS, 1>(out, n, row, |block| {
                                $module::dots(format, data, x, width, block);
                            }),
                            (_, 4) => place::<1, 4>(out, n, row, |block| {
                                $module::dots(format, data, x, width, block);
                            }),
                            (_, 2) => place::<1, 2>(out, n, row, |block| {
                                $module::dots(format, data, x, width, block);
                            }),
                            _ => place::<1, 1>(out, n, row, |block| {
                                $module::dots(format, data, x, width, block);
                            }),
                        }
                    }
                    row += rows;
                }
                first += outputs;
            }
        }
    };
}

entry!(decode_avx512, dots_avx512, wide, 4);
entry!(decode_avx2, dots_avx2, narrow, 2);

/// Puts a block of products where it belongs in `[O, n]`.
fn place<const O: usize, const R: usize>(
    out: &mut [f32],
    n: usize,
    row: usize,
    products: impl FnOnce(&mut [[f32; R]; O]),
) {
    let mut block = [[0f32; R]; O];
    products(&mut block);
    for (out, block) in out.chunks_exact_mut(n).zip(block) {
        out[row..row + R].copy_from_slice(&block);
    }
}
