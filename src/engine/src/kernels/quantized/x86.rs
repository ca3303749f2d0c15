//! What [`super::body`] is made of on x86-64, for three instruction sets.
#![expect(unsafe_code, reason = "intrinsics of an instruction set")]

use std::{
    arch::x86_64::{
        __m256, __m256i, __m512, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_srli_si128,
        _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
        _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16, _mm256_cvtepu8_epi32,
        _mm256_cvtph_ps, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_fnmadd_ps,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi8,
        _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
        _mm256_slli_epi16, _mm256_srl_epi16, _mm256_storeu_ps, _mm512_add_epi32,
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
    body::{FORMATS, Put, kernel, nibble},
    panels::{LANES, PLANE, at},
    product::PAIRS,
};

type Bytes = __m256i;

#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load(at: *const u8) -> Bytes {
    // SAFETY: the caller's 32 bytes.
    unsafe { _mm256_loadu_si256(at.cast()) }
}
#[target_feature(enable = "avx2")]
#[inline]
fn and(bytes: Bytes, mask: i8) -> Bytes {
    _mm256_and_si256(bytes, _mm256_set1_epi8(mask))
}
#[target_feature(enable = "avx2")]
#[inline]
fn or(a: Bytes, b: Bytes) -> Bytes {
    _mm256_or_si256(a, b)
}
#[target_feature(enable = "avx2")]
#[inline]
fn right(bytes: Bytes, by: usize) -> Bytes {
    _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(by as i32))
}
#[target_feature(enable = "avx2")]
#[inline]
fn left_by_4(bytes: Bytes) -> Bytes {
    _mm256_slli_epi16::<4>(bytes)
}

/// How rows and panels are cut, for instruction sets with registers of 512 bits or not.
macro_rules! rows {
    ($features:literal, $wide:literal) => {
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
    };
}

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
        fn no_weights() -> __m512i {
            no_int()
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
        unsafe fn both(at: *const i16) -> __m512i {
            // SAFETY: the caller's two values.
            whole(unsafe { at.cast::<i32>().read_unaligned() })
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
        rows!($features, true);
        kernel!($features);
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
    fn no_weights() -> Ints {
        no_int()
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
    unsafe fn both(at: *const i16) -> Ints {
        // SAFETY: the caller's two values.
        whole(unsafe { at.cast::<i32>().read_unaligned() })
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
    rows!("avx2,fma,f16c", false);
    kernel!("avx2,fma,f16c");
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
