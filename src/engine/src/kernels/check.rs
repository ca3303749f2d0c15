//! What the tests of the kernels share: values, comparison, thread pools.

use candle_core::{Device, Tensor};

/// Values between −1 and 1 that look random and are always the same.
pub(super) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

pub(super) fn tensor(shape: &[usize], seed: u64) -> Tensor {
    Tensor::from_vec(noise(shape.iter().product(), seed), shape, &Device::Cpu).unwrap()
}

pub(super) fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference must not exceed `tolerance` times the largest expected value.
#[track_caller]
pub(super) fn assert_close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0f64, |m, v| m.max(v.abs()));
    assert!(scale > 0.0, "a reference of zeros proves nothing");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let difference = (f64::from(got) - want).abs();
        assert!(
            difference <= tolerance * scale,
            "value {i}: {got} instead of {want}, {difference:e} apart (largest {scale})"
        );
    }
}

/// Runs `f` on one thread and on four and demands the same bytes.
#[track_caller]
pub(super) fn same_on_any_number_of_threads(f: impl Fn() -> Tensor + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| flat(&f()))
    };
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(run(1)), bits(run(4)));
}
