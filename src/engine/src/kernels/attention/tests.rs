use super::{FEW_QUERIES, fused, standard, standard::in_blocks};
use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
use crate::nn::mask::Mask;
use candle_core::{DType, Tensor};

/// The definition, in f64.
fn reference(q: &Tensor, k: &Tensor, v: &Tensor, scale: f32, mask: Mask) -> Vec<f64> {
    let (b, nq, lq, d) = q.dims4().unwrap();
    let (_, nk, lk, _) = k.dims4().unwrap();
    let (q, k, v) = (flat(q), flat(k), flat(v));
    let mut out = Vec::new();
    for item in 0..b {
        for head in 0..nq {
            let kv = (item * nk + head / (nq / nk)) * lk;
            for i in 0..lq {
                let q = &q[((item * nq + head) * lq + i) * d..][..d];
                let keys = mask.keys(i + lk - lq.min(lk), lk);
                let scores: Vec<f64> = keys
                    .clone()
                    .map(|key| {
                        let k = &k[(kv + key) * d..][..d];
                        f64::from(scale)
                            * q.iter()
                                .zip(k)
                                .map(|(&q, &k)| f64::from(q) * f64::from(k))
                                .sum::<f64>()
                    })
                    .collect();
                let max = scores.iter().fold(f64::MIN, |m, &s| m.max(s));
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                for c in 0..d {
                    out.push(
                        keys.clone()
                            .zip(&scores)
                            .map(|(key, s)| {
                                (s - max).exp() / sum * f64::from(v[(kv + key) * d + c])
                            })
                            .sum(),
                    );
                }
            }
        }
    }
    out
}

/// (batch, query heads, key-value heads, queries, keys, head dimension, mask)
const CASES: &[(usize, usize, usize, usize, usize, usize, Mask)] = &[
    (1, 1, 1, 1, 1, 4, Mask::None),
    (2, 4, 2, 1, 77, 16, Mask::Causal),
    (1, 4, 1, 5, 40, 33, Mask::Causal),
    (1, 2, 2, 7, 30, 16, Mask::Window(3)),
    (1, 2, 2, FEW_QUERIES, 13, 16, Mask::None),
    (2, 4, 2, 97, 97, 16, Mask::None),
    (1, 2, 1, 130, 130, 20, Mask::Causal),
    (1, 3, 3, 33, 700, 128, Mask::None),
    (1, 2, 1, 50, 333, 7, Mask::Causal),
    (2, 2, 1, 301, 301, 16, Mask::Window(8)),
    (1, 2, 2, 500, 500, 16, Mask::Window(128)),
    (1, 1, 1, 100, 100, 16, Mask::Window(0)),
    (1, 1, 1, 64, 64, 16, Mask::Window(1000)),
    (1, 2, 1, 40, 500, 16, Mask::Window(20)),
    (1, 1, 1, 200, 3, 5, Mask::None),
];

fn inputs(case: usize) -> (Tensor, Tensor, Tensor, Mask) {
    let (b, nq, nk, lq, lk, d, mask) = CASES[case];
    let seed = 10 * case as u64;
    (
        (tensor(&[b, nq, lq, d], seed + 1) * 3.0).unwrap(),
        (tensor(&[b, nk, lk, d], seed + 2) * 3.0).unwrap(),
        tensor(&[b, nk, lk, d], seed + 3),
        mask,
    )
}

#[test]
fn both_forms_equal_the_definition() {
    for case in 0..CASES.len() {
        let (q, k, v, mask) = inputs(case);
        let want = reference(&q, &k, &v, 0.3, mask);
        assert_close(&flat(&fused(&q, &k, &v, 0.3, mask).unwrap()), &want, 2e-5);
        assert_close(
            &flat(&standard(&q, &k, &v, 0.3, mask).unwrap()),
            &want,
            2e-5,
        );
    }
}

/// Seams between blocks of queries are nowhere near the sizes of a test.
#[test]
fn blocks_of_queries_of_any_size_give_the_same() {
    for case in 0..CASES.len() {
        let (q, k, v, mask) = inputs(case);
        let want = reference(&q, &k, &v, 0.3, mask);
        let (heads, queries, keys) = (q.dim(1).unwrap(), q.dim(2).unwrap(), k.dim(2).unwrap());
        for rows in [1, 2, 7, queries.div_ceil(2)] {
            let y = in_blocks(&q, &k, &v, 0.3, mask, rows * heads * keys).unwrap();
            assert_close(&flat(&y), &want, 2e-5);
        }
    }
}

#[test]
fn scores_of_any_size_stay_numbers() {
    let (q, k, v, _) = inputs(5);
    for scale in [1e-6, 40.0] {
        let want = reference(&q, &k, &v, scale, Mask::None);
        // A large scale turns rounding of the scores into differences of the weights.
        assert_close(
            &flat(&fused(&q, &k, &v, scale, Mask::None).unwrap()),
            &want,
            1e-3,
        );
    }
    let nan = (&v * f64::NAN).unwrap();
    let y = flat(&fused(&q, &k, &nan, 0.3, Mask::None).unwrap());
    assert!(y.iter().all(|y| y.is_nan()));
}

#[test]
fn other_dtypes_take_the_standard_form() {
    let (q, k, v, mask) = inputs(9);
    let want = reference(&q, &k, &v, 0.3, mask);
    let half = |t: &Tensor| t.to_dtype(DType::BF16).unwrap();
    let y = fused(&half(&q), &half(&k), &half(&v), 0.3, mask).unwrap();
    assert_eq!(y.dtype(), DType::BF16);
    assert_close(&flat(&y.to_dtype(DType::F32).unwrap()), &want, 0.1);
}

#[test]
fn inputs_may_lie_anyhow() {
    // As they come out of a projection: [b, l, heads, d] seen as [b, heads, l, d].
    let q = tensor(&[2, 100, 4, 16], 1).transpose(1, 2).unwrap();
    let k = tensor(&[2, 90, 2, 16], 2).transpose(1, 2).unwrap();
    let v = tensor(&[2, 90, 2, 16], 3).transpose(1, 2).unwrap();
    let want = reference(&q, &k, &v, 0.3, Mask::None);
    assert_close(
        &flat(&fused(&q, &k, &v, 0.3, Mask::None).unwrap()),
        &want,
        2e-5,
    );
    assert_close(
        &flat(&standard(&q, &k, &v, 0.3, Mask::None).unwrap()),
        &want,
        2e-5,
    );
}

#[test]
fn same_bytes_whatever_the_threads_and_the_batch() {
    for (lq, mask) in [
        (1, Mask::Causal),
        (300, Mask::None),
        (300, Mask::Window(20)),
    ] {
        let q = tensor(&[3, 4, lq, 16], 1);
        let (k, v) = (tensor(&[3, 2, 300, 16], 2), tensor(&[3, 2, 300, 16], 3));
        for form in [fused, standard] {
            same_on_any_number_of_threads(|| form(&q, &k, &v, 0.25, mask).unwrap());
            let all = form(&q, &k, &v, 0.25, mask).unwrap();
            let item = |t: &Tensor| t.narrow(0, 2, 1).unwrap();
            let one = form(&item(&q), &item(&k), &item(&v), 0.25, mask).unwrap();
            assert_eq!(flat(&item(&all)), flat(&one));
        }
    }
}

#[test]
fn keys_in_a_longer_cache_are_read_where_they_lie() {
    for lq in [1, 5, 40] {
        let q = tensor(&[2, 4, lq, 16], 1);
        let (k, v) = (tensor(&[2, 2, 70, 16], 2), tensor(&[2, 2, 70, 16], 3));
        let first = |t: &Tensor| t.narrow(2, 0, 50).unwrap();
        let packed = |t: &Tensor| first(t).contiguous().unwrap();
        let there = fused(&q, &first(&k), &first(&v), 0.25, Mask::Causal).unwrap();
        let copied = fused(&q, &packed(&k), &packed(&v), 0.25, Mask::Causal).unwrap();
        assert_eq!(flat(&there), flat(&copied));
        // Rows that are themselves apart are put together.
        let turned = k.transpose(2, 3).unwrap().contiguous().unwrap();
        let turned = turned.transpose(2, 3).unwrap();
        let apart = fused(&q, &first(&turned), &first(&v), 0.25, Mask::Causal).unwrap();
        assert_eq!(flat(&apart), flat(&copied));
    }
}

#[test]
fn wrong_shapes_are_refused() {
    let t = |shape: &[usize]| tensor(shape, 1);
    let refused = |q: &[usize], k: &[usize], v: &[usize], mask| {
        fused(&t(q), &t(k), &t(v), 1.0, mask).is_err()
            && standard(&t(q), &t(k), &t(v), 1.0, mask).is_err()
    };
    assert!(refused(
        &[1, 3, 9, 4],
        &[1, 2, 9, 4],
        &[1, 2, 9, 4],
        Mask::None
    ));
    assert!(refused(
        &[1, 2, 9, 4],
        &[1, 2, 9, 5],
        &[1, 2, 9, 5],
        Mask::None
    ));
    assert!(refused(
        &[1, 2, 9, 4],
        &[1, 2, 9, 4],
        &[1, 2, 8, 4],
        Mask::None
    ));
    assert!(refused(
        &[1, 2, 9, 4],
        &[1, 2, 8, 4],
        &[1, 2, 8, 4],
        Mask::Causal
    ));
    assert!(refused(
        &[1, 2, 9, 4],
        &[1, 2, 0, 4],
        &[1, 2, 0, 4],
        Mask::None
    ));
}
