use std::sync::Arc;

use candle_core::{
    DType, Device, Module, Tensor,
    quantized::{QMatMul, QStorage, QTensor},
};

use super::{DECODE_FIRST, FEW_ROWS, Format, Packed, blocks, decode, quantize};
use crate::kernels::{
    check::{assert_close, flat, noise, same_on_any_number_of_threads, tensor},
    matvec,
};

fn packed(format: Format, rows: usize, width: usize, seed: u64) -> Packed {
    let values = noise(rows * width, seed);
    let blocks = quantize(format, (rows, width), |row, out| {
        out.copy_from_slice(&values[row * width..][..width]);
    })
    .unwrap();
    Packed::new(Arc::new(blocks), 0, format, (rows, width)).unwrap()
}

/// The same blocks as candle holds them: another reader of the format.
fn candles(packed: &Packed) -> QTensor {
    let storage = QStorage::from_data(packed.data().into(), &Device::Cpu, packed.format().ggml());
    QTensor::new(storage.unwrap(), packed.dims()).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    flat(tensor).into_iter().map(f32::to_bits).collect()
}

#[test]
fn blocks_stand_for_the_values_that_candle_reads() {
    for format in Format::ALL {
        let w = packed(format, 9, 512, 1);
        let want = candles(&w).dequantize(&Device::Cpu).unwrap();
        assert_eq!(bits(&w.dequantize().unwrap()), bits(&want), "{format}");
        let mut plain = vec![0.0; 9 * 512];
        blocks::decode(format, w.data(), &mut plain);
        assert_eq!(plain, flat(&want), "{format}");
        decode(format, w.data(), &mut plain);
        assert_eq!(plain, flat(&want), "{format}");
    }
}

/// Blocks no quantiser makes: every bit of every field, scales of either sign.
#[test]
fn blocks_of_any_bytes_are_read_alike() {
    for format in Format::ALL {
        let (rows, width) = (8, 1024);
        let len = rows * format.row_bytes(width).unwrap();
        let mut bytes: Vec<u8> = noise(len, 7)
            .iter()
            .map(|v| (v * 128.0) as i8 as u8)
            .collect();
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            // Half-precision scales between 2^-4 and 2, so that nothing is infinite.
            let scales: &[usize] = match format {
                Format::Q8_0 => &[1],
                Format::Q4K | Format::Q5K => &[1, 3],
                Format::Q6K => &[209],
            };
            for at in scales {
                block[*at] = block[*at] & 0x8f | 0x2c;
            }
        }
        let w = Packed::new(Arc::new(bytes), 0, format, (rows, width)).unwrap();
        let want = candles(&w).dequantize(&Device::Cpu).unwrap();
        assert_eq!(flat(&w.dequantize().unwrap()), flat(&want), "{format}");
        let x = tensor(&[3, width], 8);
        let products = w.linear(&x).unwrap();
        let dense = matvec::linear(&x, &want).unwrap();
        assert_eq!(flat(&products), flat(&dense), "{format}");
    }
}

/// Half a step of eight bits, and what four, five and six bits cost on even noise.
#[test]
fn the_error_of_a_format_is_what_its_bits_allow() {
    for (format, most) in [
        (Format::Q8_0, 0.005),
        (Format::Q6K, 0.035),
        (Format::Q5K, 0.06),
        (Format::Q4K, 0.12),
    ] {
        let w = packed(format, 16, 512, 3);
        let values = noise(16 * 512, 3);
        let worst = flat(&w.dequantize().unwrap())
            .iter()
            .zip(&values)
            .fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < most && worst > most / 20.0, "{format}: {worst}");
    }
}

#[test]
fn few_rows_give_the_bits_of_the_decoded_matrix() {
    for format in Format::ALL {
        for (n, width, outputs) in [
            (1, 256, 1),
            (1, 512, 150),
            (2, 256, 9),
            (5, 1024, 31),
            (DECODE_FIRST, 256, 6),
            (FEW_ROWS, 512, 7),
        ] {
            let (x, w) = (tensor(&[n, width], 4), packed(format, outputs, width, 5));
            let dense = candles(&w).dequantize(&Device::Cpu).unwrap();
            let want = matvec::linear(&x, &dense).unwrap();
            assert_eq!(
                bits(&w.linear(&x).unwrap()),
                bits(&want),
                "{format} {n}x{width}x{outputs}"
            );
        }
    }
    // Rows that are whole blocks of 32 and of nothing larger.
    let (x, w) = (tensor(&[3, 96], 4), packed(Format::Q8_0, 5, 96, 5));
    let dense = candles(&w).dequantize(&Device::Cpu).unwrap();
    let want = matvec::linear(&x, &dense).unwrap();
    assert_eq!(bits(&w.linear(&x).unwrap()), bits(&want));
}

#[test]
fn many_rows_give_the_product_of_the_decoded_matrix() {
    for format in Format::ALL {
        let (n, width, outputs) = (FEW_ROWS + 9, 512, 37);
        let (x, w) = (tensor(&[n, width], 6), packed(format, outputs, width, 7));
        let want = candles(&w).dequantize(&Device::Cpu).unwrap();
        let want = x
            .to_dtype(DType::F64)
            .unwrap()
            .matmul(&want.to_dtype(DType::F64).unwrap().t().unwrap())
            .unwrap();
        let want: Vec<f64> = want.flatten_all().unwrap().to_vec1().unwrap();
        assert_close(&flat(&w.linear(&x).unwrap()), &want, 2e-6);
    }
}

/// candle's kernel rounds the activations to eight bits as well, so it is near and no more.
#[test]
fn candles_product_of_the_same_blocks_is_near() {
    for format in Format::ALL {
        let (x, w) = (tensor(&[2, 512], 8), packed(format, 40, 512, 9));
        let candles = QMatMul::from_qtensor(candles(&w)).unwrap();
        let theirs = candles.forward(&x).unwrap();
        let theirs: Vec<f64> = flat(&theirs).into_iter().map(f64::from).collect();
        assert_close(&flat(&w.linear(&x).unwrap()), &theirs, 1e-2);
    }
}

#[test]
fn some_rows_are_those_of_the_whole() {
    let (x, w) = (tensor(&[2, 256], 10), packed(Format::Q6K, 45, 256, 11));
    let all = w.linear(&x).unwrap();
    for rows in [0..1, 3..13, 44..45] {
        let some = w.narrow(rows.clone()).unwrap().linear(&x).unwrap();
        let want = all.narrow(1, rows.start, rows.len()).unwrap();
        assert_eq!(bits(&some), bits(&want), "{rows:?}");
    }
    let dense = w.dequantize().unwrap();
    let looked_up = w.lookup(&[44, 0, 7]).unwrap();
    let want = Tensor::cat(&[44, 0, 7].map(|id| dense.narrow(0, id, 1).unwrap()), 0).unwrap();
    assert_eq!(bits(&looked_up), bits(&want));
    assert!(w.narrow(40..46).is_err() && w.lookup(&[45]).is_err());
}

#[test]
fn threads_do_not_matter() {
    let (x, w) = (tensor(&[3, 512], 12), packed(Format::Q8_0, 700, 512, 13));
    same_on_any_number_of_threads(|| w.linear(&x).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let blocks = Arc::new(vec![0u8; 34 * 4]);
    let of = |start, dims| Packed::new(blocks.clone(), start, Format::Q8_0, dims);
    assert!(of(0, (4, 32)).is_ok() && of(34, (3, 32)).is_ok());
    assert!(of(1, (4, 32)).is_err(), "beyond the end");
    assert!(of(0, (2, 33)).is_err(), "half a block");
    assert!(of(0, (usize::MAX, 32)).is_err(), "overflow");
    let wrong = of(0, (4, 32)).unwrap().linear(&tensor(&[1, 64], 1));
    assert!(wrong.is_err());
    assert!(quantize(Format::Q4K, (1, 128), |_, _| ()).is_err());
}
