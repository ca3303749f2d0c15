//! The products of panels in vectors of sixteen outputs.
//!
//! One body for three instruction sets: a few primitives are written for each, and the loops over
//! blocks, runs and pairs once. Integers are exact and the floating-point steps are the same, so
//! all three give the same bits.
#![expect(unsafe_code, reason = "intrinsics of an instruction set")]

use std::{
    arch::x86_64::{
        __m256, __m256i, __m512, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_srli_si128,
        _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
        _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16, _mm256_cvtepu8_epi32,
        _mm256_cvtph_ps, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_fnmadd_ps,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi8,
        _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
        _mm256_slli_epi16, _mm256_srl_epi16, _mm256_srli_epi16, _mm256_storeu_ps, _mm512_add_epi32,
        _mm512_cvtepi8_epi16, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi16,
        _mm512_cvtepu8_epi32, _mm512_cvtph_ps, _mm512_dpwssd_epi32, _mm512_fmadd_ps,
        _mm512_fnmadd_ps, _mm512_madd_epi16, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps,
    },
    ops::Range,
};

use super::{
    activations::{Activations, HALF, Integers, REST},
    blocks::{Format, PART},
    panels::{LANES, PLANE, at},
    product::PAIRS,
};

/// Takes a row, a first output and the outputs from there.
type Put<'a> = &'a mut dyn FnMut(usize, usize, &[f32; LANES]);

/// The bits of a byte that hold a part's four bits. The upper ones are not shifted: what is sixteen
/// times as much gets a sixteenth of the scale, which costs no bit.
fn nibble(part: usize) -> i8 {
    if part.is_multiple_of(2) { 0x0f } else { !0x0f }
}

/// Values of a pair of all lanes as bytes: with a sign in Q8_0, 32 too much in Q6_K, and in Q4_K
/// where [`nibble`] says.
macro_rules! pair_bytes {
    ($features:literal) => {
        /// Values of pair `index` of a part, a byte each.
        ///
        /// # Safety
        /// `block` is a whole block of a panel, `part` and `index` are inside.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn pair_bytes<const FORMAT: u8>(
            block: *const u8,
            part: usize,
            index: usize,
        ) -> __m256i {
            // SAFETY: `start` is a plane of the block's format; 32 bytes are there.
            let load = |start: usize| unsafe {
                _mm256_loadu_si256(block.add(start + index * 2 * LANES).cast())
            };
            let and = |bytes: __m256i, mask: i8| _mm256_and_si256(bytes, _mm256_set1_epi8(mask));
            if FORMAT == Format::Q8_0 as u8 {
                load(at::Q8_0_VALUES)
            } else if FORMAT == Format::Q4K as u8 {
                and(load(at::AFTER_MINIMA + part / 2 * PLANE), nibble(part))
            } else if FORMAT == Format::Q5K as u8 {
                let low = load(at::Q5K_NIBBLES + part / 2 * PLANE);
                let low = _mm256_srl_epi16(low, _mm_cvtsi32_si128(part as i32 % 2 * 4));
                let high = load(at::AFTER_MINIMA);
                let bit = _mm256_srl_epi16(high, _mm_cvtsi32_si128(part as i32));
                _mm256_or_si256(and(low, 15), _mm256_slli_epi16::<4>(and(bit, 1)))
            } else {
                let start = at::Q6K_VALUES + part / 4 * 3 * PLANE;
                let own = part % 4;
                if own < 3 {
                    and(load(start + own * PLANE), 0x3f)
                } else {
                    let first = _mm256_srli_epi16::<6>(load(start));
                    let second = _mm256_srli_epi16::<4>(load(start + PLANE));
                    let third = _mm256_srli_epi16::<2>(load(start + 2 * PLANE));
                    let both = _mm256_or_si256(and(first, 0x03), and(second, 0x0c));
                    _mm256_or_si256(both, and(third, 0x30))
                }
            }
        }
    };
}

macro_rules! kernel {
    ($features:literal, $wide:literal) => {
        pair_bytes!($features);

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
                            let mut w = [no_int(); N];
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
                                    // SAFETY: `place * PART + 2 * of + 2 <= width`.
                                    let x = whole(unsafe {
                                        values[r][i]
                                            .add(place * PART + 2 * of)
                                            .cast::<i32>()
                                            .read_unaligned()
                                    });
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
        fn rows<const FORMAT: u8, const I: usize>(
            data: &[u8],
            x: &Activations,
            some: Range<usize>,
            put: Put<'_>,
        ) {
            let format = FORMATS[FORMAT as usize];
            let panel = x.width / format.block_values() * format.panel_block_bytes();
            let (mut row, n) = (some.start, some.end);
            // Two panels share what is read of the activations, as long as the sums fit the
            // registers; few rows rather read one panel after another.
            while n - row >= 3 && data.len() == 2 * panel {
                if $wide && n - row >= 4 {
                    block::<FORMAT, 4, 2, 1, I>(data, x, row, put);
                    row += 4;
                } else if $wide {
                    block::<FORMAT, 3, 2, 1, I>(data, x, row, put);
                    row += 3;
                } else {
                    break;
                }
            }
            for (index, data) in data.chunks_exact(panel).enumerate() {
                let put: Put<'_> = &mut |r, first, out| put(r, index * LANES + first, out);
                let mut row = row;
                while row < n {
                    match n - row {
                        4.. if $wide => {
                            block::<FORMAT, 4, 1, 2, I>(data, x, row, put);
                            row += 4;
                        }
                        2.. => {
                            block::<FORMAT, 2, 1, 2, I>(data, x, row, put);
                            row += 2;
                        }
                        _ if $wide => {
                            block::<FORMAT, 1, 1, 4, I>(data, x, row, put);
                            row += 1;
                        }
                        _ => {
                            block::<FORMAT, 1, 1, 2, I>(data, x, row, put);
                            row += 1;
                        }
                    }
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

/// By discriminant.
const FORMATS: [Format; 4] = Format::ALL;

/// Primitives on vectors of 512 bits; `$dot` adds products of pairs to integers.
macro_rules! wide {
    ($features:literal, |$sum:ident, $w:ident, $x:ident| $dot:expr) => {
        use super::*;

        type Floats = __m512;

        #[target_feature(enable = $features)]
        #[inline]
        fn zero() -> __m512 {
            _mm512_setzero_ps()
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn no_int() -> __m512i {
            _mm512_setzero_si512()
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn signed(bytes: __m256i) -> __m512i {
            _mm512_cvtepi8_epi16(bytes)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn unsigned(bytes: __m256i) -> __m512i {
            _mm512_cvtepu8_epi16(bytes)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn whole(value: i32) -> __m512i {
            _mm512_set1_epi32(value)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn dot($sum: __m512i, $w: __m512i, $x: __m512i) -> __m512i {
            $dot
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn add(a: __m512i, b: __m512i) -> __m512i {
            _mm512_add_epi32(a, b)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn float(int: __m512i) -> __m512 {
            _mm512_cvtepi32_ps(int)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn all(value: f32) -> __m512 {
            _mm512_set1_ps(value)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn times(a: __m512, b: __m512) -> __m512 {
            _mm512_mul_ps(a, b)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn plus_product(sum: __m512, a: __m512, b: __m512) -> __m512 {
            _mm512_fmadd_ps(a, b, sum)
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn minus_product(sum: __m512, a: __m512, b: __m512) -> __m512 {
            _mm512_fnmadd_ps(a, b, sum)
        }
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn halves(at: *const u8) -> __m512 {
            // SAFETY: the caller's 32 bytes.
            _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(at.cast()) })
        }
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn bytes(at: *const u8) -> __m512 {
            // SAFETY: the caller's 16 bytes.
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(at.cast()) }))
        }
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn signed_bytes(at: *const u8) -> __m512 {
            // SAFETY: the caller's 16 bytes.
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(unsafe { _mm_loadu_si128(at.cast()) }))
        }
        #[target_feature(enable = $features)]
        #[inline]
        fn lanes(sums: __m512) -> [f32; LANES] {
            let mut out = [0f32; LANES];
            // SAFETY: the array holds one vector.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sums) };
            out
        }
        kernel!($features, true);
    };
}

mod with_vnni {
    wide!("avx512f,avx512bw,avx512vnni,avx2,fma,f16c", |sum, w, x| {
        _mm512_dpwssd_epi32(sum, w, x)
    });
}

mod with_avx512 {
    wide!("avx512f,avx512bw,avx2,fma,f16c", |sum, w, x| {
        _mm512_add_epi32(sum, _mm512_madd_epi16(w, x))
    });
}

/// Two vectors of 256 bits for one of 512.
mod with_avx2 {
    #[allow(
        clippy::wildcard_imports,
        reason = "the bodies of the macros need all of it; in tests the lint is silent"
    )]
    use super::*;

    type Floats = [__m256; 2];
    type Ints = [__m256i; 2];

    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn zero() -> Floats {
        [_mm256_setzero_ps(); 2]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn no_int() -> Ints {
        [_mm256_setzero_si256(); 2]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn signed(bytes: __m256i) -> Ints {
        [
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes)),
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(bytes)),
        ]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn unsigned(bytes: __m256i) -> Ints {
        [
            _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes)),
            _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(bytes)),
        ]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn whole(value: i32) -> Ints {
        [_mm256_set1_epi32(value); 2]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn dot(sum: Ints, w: Ints, x: Ints) -> Ints {
        add(
            sum,
            [_mm256_madd_epi16(w[0], x[0]), _mm256_madd_epi16(w[1], x[1])],
        )
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn add(a: Ints, b: Ints) -> Ints {
        [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn float(int: Ints) -> Floats {
        [_mm256_cvtepi32_ps(int[0]), _mm256_cvtepi32_ps(int[1])]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn all(value: f32) -> Floats {
        [_mm256_set1_ps(value); 2]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn times(a: Floats, b: Floats) -> Floats {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn plus_product(sum: Floats, a: Floats, b: Floats) -> Floats {
        [
            _mm256_fmadd_ps(a[0], b[0], sum[0]),
            _mm256_fmadd_ps(a[1], b[1], sum[1]),
        ]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn minus_product(sum: Floats, a: Floats, b: Floats) -> Floats {
        [
            _mm256_fnmadd_ps(a[0], b[0], sum[0]),
            _mm256_fnmadd_ps(a[1], b[1], sum[1]),
        ]
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    unsafe fn halves(at: *const u8) -> Floats {
        // SAFETY: the caller's 32 bytes.
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(at.cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(at.add(16).cast())),
            ]
        }
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    unsafe fn bytes(at: *const u8) -> Floats {
        // SAFETY: the caller's 16 bytes.
        let bytes = unsafe { _mm_loadu_si128(at.cast()) };
        let high = _mm_srli_si128::<8>(bytes);
        float([_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(high)])
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    unsafe fn signed_bytes(at: *const u8) -> Floats {
        // SAFETY: the caller's 16 bytes.
        let bytes = unsafe { _mm_loadu_si128(at.cast()) };
        let high = _mm_srli_si128::<8>(bytes);
        float([_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(high)])
    }
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn lanes(sums: Floats) -> [f32; LANES] {
        let mut out = [0f32; LANES];
        // SAFETY: the array holds two vectors.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), sums[1]);
        }
        out
    }
    kernel!("avx2,fma,f16c", false);
}

pub(super) fn vnni(format: Format, data: &[u8], x: &Activations, some: Range<usize>, put: Put<'_>) {
    // SAFETY: `Kernel::best` found these instructions.
    unsafe { with_vnni::multiply(format, data, x, some, put) }
}

pub(super) fn avx512(
    format: Format,
    data: &[u8],
    x: &Activations,
    some: Range<usize>,
    put: Put<'_>,
) {
    // SAFETY: `Kernel::best` found these instructions.
    unsafe { with_avx512::multiply(format, data, x, some, put) }
}

pub(super) fn avx2(format: Format, data: &[u8], x: &Activations, some: Range<usize>, put: Put<'_>) {
    // SAFETY: `Kernel::best` found these instructions.
    unsafe { with_avx2::multiply(format, data, x, some, put) }
}
