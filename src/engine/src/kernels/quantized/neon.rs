//! What [`super::body`] is made of on arm64, where every machine has NEON.
//!
//! An instruction multiplies four weights with one activation and adds to four sums, so the two
//! weights of a lane are taken apart: once for a pair of all lanes, for all rows. Sixteen sums of a
//! row are four registers of 32, which is what decides how many rows go together.
#![expect(unsafe_code, reason = "intrinsics of an instruction set")]

use std::{
    arch::{
        aarch64::{
            float32x4_t, int16x4_t, int16x8_t, int32x4_t, uint16x8_t, vaddq_s32, vandq_u16,
            vcvt_f32_f16, vcvtq_f32_s32, vdup_n_s32, vdupq_n_f32, vdupq_n_s16, vdupq_n_s32,
            vdupq_n_u8, vdupq_n_u16, vfmaq_f32, vfmsq_f32, vget_high_s16, vget_low_s16, vld1_s8,
            vld1_u8, vld1q_u8, vmovl_s8, vmovl_s16, vmovl_u8, vmulq_f32, vorrq_u16,
            vreinterpret_f16_u8, vreinterpret_s16_s32, vreinterpretq_s16_u16, vreinterpretq_u16_u8,
            vset_lane_s32, vshlq_n_s16, vshlq_n_u16, vshlq_u16, vshrq_n_s16, vshrq_n_u16,
            vst1q_f32,
        },
        asm,
    },
    array::from_fn,
    ops::Range,
};

use super::{
    activations::{Activations, HALF, Integers, REST},
    blocks::{Format, PART},
    body::{FORMATS, Put, kernel, nibble},
    panels::{LANES, PLANE, at},
    product::PAIRS,
};

/// Eight lanes each.
type Bytes = [uint16x8_t; 2];

/// The first values of eight lanes and the second ones, twice.
type Weights = [int16x8_t; 4];

/// Four lanes each.
type Ints = [int32x4_t; 4];

/// Four lanes each.
type Floats = [float32x4_t; 4];

#[target_feature(enable = "neon")]
#[inline]
unsafe fn load(at: *const u8) -> Bytes {
    // SAFETY: the caller's 32 bytes.
    let bytes = unsafe { [vld1q_u8(at), vld1q_u8(at.add(16))] };
    [
        vreinterpretq_u16_u8(bytes[0]),
        vreinterpretq_u16_u8(bytes[1]),
    ]
}
#[target_feature(enable = "neon")]
#[inline]
fn and(bytes: Bytes, mask: i8) -> Bytes {
    let mask = vreinterpretq_u16_u8(vdupq_n_u8(mask as u8));
    [vandq_u16(bytes[0], mask), vandq_u16(bytes[1], mask)]
}
#[target_feature(enable = "neon")]
#[inline]
fn or(a: Bytes, b: Bytes) -> Bytes {
    [vorrq_u16(a[0], b[0]), vorrq_u16(a[1], b[1])]
}
#[target_feature(enable = "neon")]
#[inline]
fn right(bytes: Bytes, by: usize) -> Bytes {
    // To the left by less than nothing.
    let by = vdupq_n_s16(-(by as i16));
    [vshlq_u16(bytes[0], by), vshlq_u16(bytes[1], by)]
}
#[target_feature(enable = "neon")]
#[inline]
fn left_by_4(bytes: Bytes) -> Bytes {
    [vshlq_n_u16::<4>(bytes[0]), vshlq_n_u16::<4>(bytes[1])]
}
#[target_feature(enable = "neon")]
#[inline]
fn no_weights() -> Weights {
    [vdupq_n_s16(0); 4]
}
#[target_feature(enable = "neon")]
#[inline]
fn signed(bytes: Bytes) -> Weights {
    let [a, b] = [
        vreinterpretq_s16_u16(bytes[0]),
        vreinterpretq_s16_u16(bytes[1]),
    ];
    [
        vshrq_n_s16::<8>(vshlq_n_s16::<8>(a)),
        vshrq_n_s16::<8>(a),
        vshrq_n_s16::<8>(vshlq_n_s16::<8>(b)),
        vshrq_n_s16::<8>(b),
    ]
}
#[target_feature(enable = "neon")]
#[inline]
fn unsigned(bytes: Bytes) -> Weights {
    let low = vdupq_n_u16(0xff);
    [
        vreinterpretq_s16_u16(vandq_u16(bytes[0], low)),
        vreinterpretq_s16_u16(vshrq_n_u16::<8>(bytes[0])),
        vreinterpretq_s16_u16(vandq_u16(bytes[1], low)),
        vreinterpretq_s16_u16(vshrq_n_u16::<8>(bytes[1])),
    ]
}
#[target_feature(enable = "neon")]
#[inline]
fn no_int() -> Ints {
    whole(0)
}
#[target_feature(enable = "neon")]
#[inline]
fn whole(value: i32) -> Ints {
    [vdupq_n_s32(value); 4]
}
#[target_feature(enable = "neon")]
#[inline]
unsafe fn both(at: *const i16) -> int16x4_t {
    // SAFETY: the caller's two values.
    let both = unsafe { at.cast::<i32>().read_unaligned() };
    vreinterpret_s16_s32(vset_lane_s32::<0>(both, vdup_n_s32(0)))
}
/// Written out: the compiler regroups the sums of intrinsics, and then adds with instructions of
/// their own to products that no register is left for.
#[target_feature(enable = "neon")]
#[inline]
fn dot(mut sum: Ints, w: Weights, x: int16x4_t) -> Ints {
    // SAFETY: reads and writes registers only.
    unsafe {
        asm!(
            "smlal {a:v}.4s, {v:v}.4h, {x:v}.h[0]",
            "smlal2 {b:v}.4s, {v:v}.8h, {x:v}.h[0]",
            "smlal {c:v}.4s, {w:v}.4h, {x:v}.h[0]",
            "smlal2 {d:v}.4s, {w:v}.8h, {x:v}.h[0]",
            "smlal {a:v}.4s, {second_v:v}.4h, {x:v}.h[1]",
            "smlal2 {b:v}.4s, {second_v:v}.8h, {x:v}.h[1]",
            "smlal {c:v}.4s, {second_w:v}.4h, {x:v}.h[1]",
            "smlal2 {d:v}.4s, {second_w:v}.8h, {x:v}.h[1]",
            a = inout(vreg) sum[0],
            b = inout(vreg) sum[1],
            c = inout(vreg) sum[2],
            d = inout(vreg) sum[3],
            v = in(vreg) w[0],
            second_v = in(vreg) w[1],
            w = in(vreg) w[2],
            second_w = in(vreg) w[3],
            x = in(vreg_low16) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
#[target_feature(enable = "neon")]
#[inline]
fn add(a: Ints, b: Ints) -> Ints {
    from_fn(|i| vaddq_s32(a[i], b[i]))
}
#[target_feature(enable = "neon")]
#[inline]
fn float(int: Ints) -> Floats {
    from_fn(|i| vcvtq_f32_s32(int[i]))
}
#[target_feature(enable = "neon")]
#[inline]
fn zero() -> Floats {
    all(0.0)
}
#[target_feature(enable = "neon")]
#[inline]
fn all(value: f32) -> Floats {
    [vdupq_n_f32(value); 4]
}
#[target_feature(enable = "neon")]
#[inline]
fn times(a: Floats, b: Floats) -> Floats {
    from_fn(|i| vmulq_f32(a[i], b[i]))
}
#[target_feature(enable = "neon")]
#[inline]
fn plus_product(sum: Floats, a: Floats, b: Floats) -> Floats {
    from_fn(|i| vfmaq_f32(sum[i], a[i], b[i]))
}
#[target_feature(enable = "neon")]
#[inline]
fn minus_product(sum: Floats, a: Floats, b: Floats) -> Floats {
    from_fn(|i| vfmsq_f32(sum[i], a[i], b[i]))
}
#[target_feature(enable = "neon")]
#[inline]
unsafe fn halves(at: *const u8) -> Floats {
    from_fn(|i| {
        // SAFETY: the caller's 32 bytes.
        let four = unsafe { vld1_u8(at.add(8 * i)) };
        vcvt_f32_f16(vreinterpret_f16_u8(four))
    })
}
#[target_feature(enable = "neon")]
#[inline]
unsafe fn bytes(at: *const u8) -> Floats {
    // SAFETY: the caller's 16 bytes.
    let [a, b] = from_fn(|i| unsafe { vreinterpretq_s16_u16(vmovl_u8(vld1_u8(at.add(8 * i)))) });
    floats(a, b)
}
#[target_feature(enable = "neon")]
#[inline]
unsafe fn signed_bytes(at: *const u8) -> Floats {
    // SAFETY: the caller's 16 bytes.
    let [a, b] = from_fn(|i| unsafe { vmovl_s8(vld1_s8(at.add(8 * i).cast())) });
    floats(a, b)
}
#[target_feature(enable = "neon")]
#[inline]
fn floats(a: int16x8_t, b: int16x8_t) -> Floats {
    let quarters = [
        vget_low_s16(a),
        vget_high_s16(a),
        vget_low_s16(b),
        vget_high_s16(b),
    ];
    float(from_fn(|i| vmovl_s16(quarters[i])))
}
#[target_feature(enable = "neon")]
#[inline]
fn lanes(sums: Floats) -> [f32; LANES] {
    let mut out = [0f32; LANES];
    for (out, sums) in out.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: four values are one vector.
        unsafe { vst1q_f32(out.as_mut_ptr(), sums) };
    }
    out
}

#[target_feature(enable = "neon")]
fn rows<const FORMAT: u8, const I: usize>(
    data: &[u8],
    x: &Activations,
    some: Range<usize>,
    put: Put<'_>,
) {
    let format = FORMATS[FORMAT as usize];
    let panel = x.width / format.block_values() * format.panel_block_bytes();
    for (index, data) in data.chunks_exact(panel).enumerate() {
        let put: Put<'_> = &mut |r, first, out| put(r, index * LANES + first, out);
        let mut row = some.start;
        // Sums of integers are in up to 24 of the 32 registers. With two panels they would be of fewer
        // rows, and weights would be taken apart more often.
        while row < some.end {
            match some.end - row {
                6.. if I == 1 => {
                    block::<FORMAT, 6, 1, 1, I>(data, x, row, put);
                    row += 6;
                }
                4.. if I == 1 => {
                    block::<FORMAT, 4, 1, 1, I>(data, x, row, put);
                    row += 4;
                }
                3.. if I > 1 => {
                    block::<FORMAT, 3, 1, 1, I>(data, x, row, put);
                    row += 3;
                }
                2.. => {
                    block::<FORMAT, 2, 1, 1, I>(data, x, row, put);
                    row += 2;
                }
                _ => {
                    block::<FORMAT, 1, 1, 2, I>(data, x, row, put);
                    row += 1;
                }
            }
        }
    }
}

kernel!("neon");

pub(super) fn neon(format: Format, data: &[u8], x: &Activations, some: Range<usize>, put: Put<'_>) {
    // SAFETY: every arm64 has NEON.
    unsafe { multiply(format, data, x, some, put) }
}
