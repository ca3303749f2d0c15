use super::{Conv1d, Conv1dConfig, Snake};
use crate::kernels::check::{assert_close, flat, same_on_any_number_of_threads, tensor};
use candle_core::{DType, Tensor};

/// The definition, in f64.
fn reference(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: Conv1dConfig) -> Vec<f64> {
    let (b, channels, n) = x.dims3().unwrap();
    let (out, _, kernel) = weight.dims3().unwrap();
    let (x, weight, bias) = (flat(x), flat(weight), bias.map(flat));
    let out_len = (n + 2 * config.padding - config.dilation * (kernel - 1) - 1) / config.stride + 1;
    let mut result = Vec::new();
    for item in 0..b {
        for row in 0..out {
            for column in 0..out_len {
                let mut sum = bias.as_ref().map_or(0.0, |bias| f64::from(bias[row]));
                for channel in 0..channels {
                    for k in 0..kernel {
                        let at = column * config.stride + k * config.dilation;
                        if at >= config.padding && at - config.padding < n {
                            sum +=
                                f64::from(x[(item * channels + channel) * n + at - config.padding])
                                    * f64::from(weight[(row * channels + channel) * kernel + k]);
                        }
                    }
                }
                result.push(sum);
            }
        }
    }
    result
}

/// Batch, in, out, n, kernel, stride, padding, dilation.
type Case = (usize, usize, usize, usize, usize, usize, usize, usize);

const CASES: &[Case] = &[
    (1, 1, 1, 1, 1, 1, 0, 1),
    (1, 3, 5, 40, 1, 1, 0, 1),
    (2, 4, 7, 101, 7, 1, 3, 1),
    (1, 5, 13, 67, 7, 1, 9, 3),
    (3, 2, 2, 55, 7, 1, 27, 9),
    (1, 3, 9, 30, 3, 1, 1, 1),
    (2, 3, 8, 97, 4, 2, 1, 1),
    (1, 4, 6, 50, 6, 3, 2, 1),
    (1, 2, 5, 133, 20, 10, 5, 1),
    (1, 2, 3, 41, 5, 3, 4, 2),
    (1, 2, 3, 20, 2, 5, 0, 3),
    (1, 17, 26, 1111, 7, 1, 3, 1),
    (1, 300, 50, 700, 3, 1, 1, 1),
    (1, 3, 4, 9, 7, 1, 3, 1),
    (1, 2, 2, 1000, 960, 480, 240, 1),
];

#[test]
fn equals_the_definition() {
    for (i, &(b, c, out, n, kernel, stride, padding, dilation)) in CASES.iter().enumerate() {
        let config = Conv1dConfig {
            stride,
            padding,
            dilation,
        };
        let x = tensor(&[b, c, n], 1 + i as u64);
        let weight = tensor(&[out, c, kernel], 100 + i as u64);
        let bias = (i % 2 == 0).then(|| tensor(&[out], 200 + i as u64));
        let conv = Conv1d::new(&weight, bias.as_ref(), config).unwrap();
        let y = conv.forward(&x).unwrap();
        let want = reference(&x, &weight, bias.as_ref(), config);
        assert_eq!(y.dims(), [b, out, conv.out_len(n)], "case {i}");
        assert_close(&flat(&y), &want, 5e-6);

        // Candle's own operations, taken on other devices and in other dtypes.
        let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let dense =
            Conv1d::new(&double(&weight), bias.as_ref().map(double).as_ref(), config).unwrap();
        let y = dense
            .forward(&double(&x))
            .unwrap()
            .to_dtype(DType::F32)
            .unwrap();
        assert_close(&flat(&y), &want, 5e-6);
    }
}

#[test]
fn input_may_lie_anyhow() {
    let config = Conv1dConfig {
        padding: 3,
        ..Conv1dConfig::default()
    };
    let weight = tensor(&[6, 5, 7], 1);
    let conv = Conv1d::new(&weight, None, config).unwrap();
    let x = tensor(&[2, 90, 5], 2)
        .transpose(1, 2)
        .unwrap()
        .narrow(2, 7, 61)
        .unwrap();
    assert_close(
        &flat(&conv.forward(&x).unwrap()),
        &reference(&x, &weight, None, config),
        5e-6,
    );
    let x = tensor(&[3, 5, 61], 3).narrow(0, 1, 2).unwrap();
    assert_close(
        &flat(&conv.forward(&x).unwrap()),
        &reference(&x, &weight, None, config),
        5e-6,
    );
}

#[test]
fn snake_before_and_residual_after_equal_the_three_steps() {
    let config = Conv1dConfig {
        padding: 9,
        dilation: 3,
        stride: 1,
    };
    let weight = tensor(&[8, 8, 7], 1);
    let (alpha, beta) = (tensor(&[1, 8, 1], 2), tensor(&[1, 8, 1], 3));
    let (x, residual) = (tensor(&[2, 8, 200], 4), tensor(&[2, 8, 200], 5));
    for dtype in [DType::F32, DType::F64] {
        let cast = |t: &Tensor| t.to_dtype(dtype).unwrap();
        let conv = Conv1d::new(&cast(&weight), Some(&cast(&tensor(&[8], 6))), config).unwrap();
        let snake = Snake::new(&alpha, &beta, dtype).unwrap();
        let once = conv
            .forward_snake_residual(&cast(&x), &snake, &cast(&residual))
            .unwrap();
        let steps = conv.forward(&snake.forward(&cast(&x)).unwrap()).unwrap();
        let want: Vec<f64> = (cast(&residual) + steps)
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_close(&flat(&once.to_dtype(DType::F32).unwrap()), &want, 1e-6);
    }
}

#[test]
fn same_bytes_whatever_the_threads_the_batch_and_the_place() {
    let config = Conv1dConfig {
        padding: 9,
        dilation: 3,
        stride: 1,
    };
    let conv = Conv1d::new(&tensor(&[70, 30, 7], 1), Some(&tensor(&[70], 2)), config).unwrap();
    let x = tensor(&[3, 30, 3000], 3);
    same_on_any_number_of_threads(|| conv.forward(&x).unwrap());

    let all = conv.forward(&x).unwrap();
    let one = conv.forward(&x.narrow(0, 2, 1).unwrap()).unwrap();
    assert_eq!(flat(&all.narrow(0, 2, 1).unwrap()), flat(&one));
    // A piece of the input gives the same piece of the output, away from its ends.
    let piece = conv
        .forward(&x.narrow(0, 2, 1).unwrap().narrow(2, 701, 999).unwrap())
        .unwrap();
    assert_eq!(
        flat(&one.narrow(2, 701 + 9, 999 - 18).unwrap()),
        flat(&piece.narrow(2, 9, 999 - 18).unwrap())
    );
}

#[test]
fn wrong_shapes_are_refused() {
    let conv = Conv1d::new(&tensor(&[4, 3, 7], 1), None, Conv1dConfig::default()).unwrap();
    assert!(
        conv.forward(&tensor(&[1, 2, 20], 1))
            .unwrap_err()
            .to_string()
            .contains("3 input channels")
    );
    assert!(
        conv.forward(&tensor(&[1, 3, 6], 1))
            .unwrap_err()
            .to_string()
            .contains("shorter")
    );
    assert!(
        Conv1d::new(
            &tensor(&[4, 3, 7], 1),
            Some(&tensor(&[3], 1)),
            Conv1dConfig::default()
        )
        .is_err()
    );
    let zero_stride = Conv1dConfig {
        stride: 0,
        ..Conv1dConfig::default()
    };
    assert!(Conv1d::new(&tensor(&[4, 3, 7], 1), None, zero_stride).is_err());
}
