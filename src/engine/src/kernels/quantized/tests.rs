use std::{ops::Range, sync::Arc};

use candle_core::{
    DType, Device, Module, Tensor,
    quantized::{QMatMul, QStorage, QTensor},
};

use super::{
    Blocks, Format, Panels,
    activations::{Activations, Closeness},
    panels::LANES,
    product::{Kernel, multiply_by},
    quantize,
};
use crate::kernels::{
    check::{assert_close, flat, noise, same_on_any_number_of_threads, tensor},
    matvec::FEW_ROWS,
    simd::PORTABLE_FMA,
};

fn blocks(format: Format, rows: usize, width: usize, seed: u64) -> Blocks {
    let values = noise(rows * width, seed);
    let blocks = quantize(format, (rows, width), |row, out| {
        out.copy_from_slice(&values[row * width..][..width]);
    })
    .unwrap();
    Blocks::new(Arc::new(blocks), 0, format, (rows, width)).unwrap()
}

fn panels(format: Format, rows: usize, width: usize, seed: u64) -> Panels {
    Panels::new(&blocks(format, rows, width, seed)).unwrap()
}

/// The same blocks as candle holds them: another reader of the format.
fn candles(blocks: &Blocks) -> QTensor {
    let storage = QStorage::from_data(blocks.data().into(), &Device::Cpu, blocks.format().ggml());
    QTensor::new(storage.unwrap(), blocks.dims()).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    flat(tensor).into_iter().map(f32::to_bits).collect()
}

/// `x` times the values that `blocks` stand for, in f64.
fn exact(x: &Tensor, blocks: &Blocks) -> Vec<f64> {
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let w = candles(blocks).dequantize(&Device::Cpu).unwrap();
    let y = wide(x).matmul(&wide(&w).t().unwrap()).unwrap();
    y.flatten_all().unwrap().to_vec1().unwrap()
}

fn linear(w: &Panels, x: &Tensor) -> Tensor {
    Panels::linear(&[w], x).unwrap().remove(0)
}

/// Every kernel that this machine can run.
fn kernels() -> Vec<Kernel> {
    #[cfg(target_arch = "x86_64")]
    {
        let fma = is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        let wide = fma && is_x86_feature_detected!("avx512bw");
        let can = [
            (Kernel::Portable, true),
            (Kernel::Avx2, fma && is_x86_feature_detected!("avx2")),
            (Kernel::Avx512, wide),
            (Kernel::Vnni, wide && is_x86_feature_detected!("avx512vnni")),
        ];
        can.into_iter()
            .filter(|(_, can)| *can)
            .map(|(kernel, _)| kernel)
            .collect()
    }
    #[cfg(target_arch = "aarch64")]
    {
        vec![Kernel::Portable, Kernel::Neon]
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        vec![Kernel::Portable]
    }
}

#[test]
fn blocks_stand_for_the_values_that_candle_reads() {
    for format in Format::ALL {
        let w = blocks(format, 9, 512, 1);
        let want = candles(&w).dequantize(&Device::Cpu).unwrap();
        assert_eq!(bits(&w.dequantize().unwrap()), bits(&want), "{format}");
        let looked_up = Panels::new(&w).unwrap().lookup(&[8, 0, 3]).unwrap();
        let want = Tensor::cat(&[8, 0, 3].map(|id| want.narrow(0, id, 1).unwrap()), 0).unwrap();
        assert_eq!(bits(&looked_up), bits(&want), "{format}");
    }
}

/// Blocks of the bytes that `byte` gives, with scales of either sign that stay finite.
fn blocks_of_bytes(
    format: Format,
    rows: usize,
    width: usize,
    byte: impl Fn(usize) -> u8,
) -> Blocks {
    let len = rows * format.row_bytes(width).unwrap();
    let mut bytes: Vec<u8> = (0..len).map(byte).collect();
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        // Half-precision scales between 2^-4 and 2.
        let scales: &[usize] = match format {
            Format::Q8_0 => &[1],
            Format::Q4K | Format::Q5K => &[1, 3],
            Format::Q6K => &[209],
        };
        for at in scales {
            block[*at] = block[*at] & 0x8f | 0x2c;
        }
    }
    Blocks::new(Arc::new(bytes), 0, format, (rows, width)).unwrap()
}

/// Blocks no quantiser makes: every bit of every field.
fn blocks_of_any_bytes(format: Format, rows: usize, width: usize) -> Blocks {
    let noise = noise(rows * format.row_bytes(width).unwrap(), 7);
    blocks_of_bytes(format, rows, width, |i| (noise[i] * 128.0) as i8 as u8)
}

#[test]
fn blocks_of_any_bytes_are_read_alike() {
    for format in Format::ALL {
        let width = 1024;
        let w = blocks_of_any_bytes(format, 8, width);
        let want = candles(&w).dequantize(&Device::Cpu).unwrap();
        assert_eq!(flat(&w.dequantize().unwrap()), flat(&want), "{format}");
        let x = tensor(&[3, width], 8);
        let products = linear(&Panels::new(&w).unwrap(), &x);
        assert_close(&flat(&products), &exact(&x, &w), 2e-6);
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
        let w = blocks(format, 16, 512, 3);
        let values = noise(16 * 512, 3);
        let worst = flat(&w.dequantize().unwrap())
            .iter()
            .zip(&values)
            .fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < most && worst > most / 20.0, "{format}: {worst}");
    }
}

#[test]
fn products_are_those_of_the_values() {
    for format in Format::ALL {
        for (n, width, outputs) in [
            (1, 256, 1),
            (1, 512, 150),
            (2, 256, 9),
            (3, 256, 33),
            (5, 1024, 31),
            (73, 512, 37),
        ] {
            let (x, w) = (tensor(&[n, width], 4), blocks(format, outputs, width, 5));
            let y = flat(&linear(&Panels::new(&w).unwrap(), &x));
            // Activations of many rows are rounded to sixteen bits.
            let tolerance = if n > FEW_ROWS { 5e-5 } else { 2e-6 };
            assert_close(&y, &exact(&x, &w), tolerance);
        }
    }
    // Rows that are whole blocks of 32 and of nothing larger.
    let (x, w) = (tensor(&[3, 96], 4), blocks(Format::Q8_0, 5, 96, 5));
    let y = linear(&Panels::new(&w).unwrap(), &x);
    assert_close(&flat(&y), &exact(&x, &w), 2e-6);
}

#[test]
fn a_row_gives_the_same_bits_in_any_company() {
    for format in Format::ALL {
        let (x, w) = (tensor(&[11, 512], 3), panels(format, 70, 512, 4));
        let all = linear(&w, &x);
        for (first, count) in [(0, 1), (3, 2), (4, 3), (1, 9), (10, 1)] {
            let some = linear(&w, &x.narrow(0, first, count).unwrap());
            let want = all.narrow(0, first, count).unwrap();
            assert_eq!(bits(&some), bits(&want), "{format} {first} {count}");
        }
    }
}

#[test]
fn matrices_multiplied_together_give_what_each_gives() {
    let x = tensor(&[2, 512], 14);
    let (a, b) = (
        panels(Format::Q8_0, 70, 512, 15),
        panels(Format::Q4K, 33, 512, 16),
    );
    let c = a.narrow(5..40).unwrap();
    let together = Panels::linear(&[&a, &b, &c], &x).unwrap();
    for (y, matrix) in together.iter().zip([&a, &b, &c]) {
        assert_eq!(bits(y), bits(&linear(matrix, &x)), "{matrix:?}");
    }
    let narrow = panels(Format::Q8_0, 4, 256, 17);
    assert!(Panels::linear(&[&a, &narrow], &x).is_err());
}

/// All the instruction sets of this machine, so that what an older one computes is tested too.
fn instruction_sets_agree(w: &Panels, x: &[f32], rows: Range<usize>, closeness: Closeness) {
    let (outputs, width) = w.dims();
    assert!(outputs == LANES || outputs == 2 * LANES);
    let x = Activations::new(x, width, closeness);
    let product = |kernel| {
        let mut out = vec![0f32; rows.len() * outputs];
        let put = |row: usize, first: usize, sums: &[f32; LANES]| {
            out[(row - rows.start) * outputs + first..][..LANES].copy_from_slice(sums);
        };
        multiply_by(kernel, w.format(), w.data(), &x, rows.clone(), put);
        out
    };
    let all: Vec<_> = kernels().into_iter().map(product).collect();
    let want: Vec<f64> = all[0].iter().map(|v| f64::from(*v)).collect();
    // The portable one comes first, and rounds once more where it cannot multiply and add at once.
    let fused = usize::from(!PORTABLE_FMA);
    for (kernel, out) in kernels().iter().zip(&all).skip(1) {
        assert_close(out, &want, 2e-6);
        let bits = |out: &[f32]| out.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let what = format!("{w:?} {kernel:?} {rows:?} {closeness:?}");
        assert_eq!(bits(out), bits(&all[fused]), "{what}");
    }
}

#[test]
fn instruction_sets_give_the_same_bits() {
    for format in Format::ALL {
        for closeness in [Closeness::Rounded, Closeness::Full] {
            let two = panels(format, 2 * LANES, 512, 5);
            // Every number of rows that some kernel takes at once, and what is left of it.
            for n in 1..=13 {
                instruction_sets_agree(&two, &noise(n * 512, 6), 0..n, closeness);
            }
            instruction_sets_agree(&two, &noise(9 * 512, 6), 2..9, closeness);
            let narrow = if format == Format::Q8_0 { 96 } else { 256 };
            for (outputs, n, width) in [(LANES, 1, 256), (LANES, 5, narrow), (2 * LANES, 7, 768)] {
                let w = panels(format, outputs, width, 7);
                instruction_sets_agree(&w, &noise(n * width, 8), 0..n, closeness);
            }
        }
    }
}

/// Sums of integers as large as they become, of either sign.
#[test]
fn instruction_sets_agree_on_the_largest_integers() {
    // The first of a part sets its scale, and all others leave half a step over.
    let x: Vec<f32> = (0..7 * 256)
        .map(|i| if i % 32 == 0 { 1.0 } else { 32766.49 / 32767.0 })
        .collect();
    let negative: Vec<f32> = x.iter().map(|x| -x).collect();
    for format in Format::ALL {
        let same = |byte| blocks_of_bytes(format, LANES, 256, move |_| byte);
        let any = blocks_of_any_bytes(format, LANES, 256);
        for w in [any, same(0x7f), same(0x80), same(0xff)] {
            let w = Panels::new(&w).unwrap();
            for closeness in [Closeness::Rounded, Closeness::Full] {
                instruction_sets_agree(&w, &x, 0..7, closeness);
                instruction_sets_agree(&w, &negative, 0..7, closeness);
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let mut x = noise(2 * 256, 7);
    x[300] = f32::NAN;
    let x = Tensor::from_vec(x, (2, 256), &Device::Cpu).unwrap();
    for format in Format::ALL {
        let y = flat(&linear(&panels(format, 3, 256, 8), &x));
        assert!(y[..3].iter().all(|y| y.is_finite()), "{format}");
        assert!(y[3..].iter().all(|y| y.is_nan()), "{format}");
    }
}

/// candle's kernel rounds the activations to eight bits as well, so it is near and no more.
#[test]
fn candles_product_of_the_same_blocks_is_near() {
    for format in Format::ALL {
        let (x, w) = (tensor(&[2, 512], 8), blocks(format, 40, 512, 9));
        let candles = QMatMul::from_qtensor(candles(&w)).unwrap();
        let theirs = candles.forward(&x).unwrap();
        let theirs: Vec<f64> = flat(&theirs).into_iter().map(f64::from).collect();
        let ours = linear(&Panels::new(&w).unwrap(), &x);
        assert_close(&flat(&ours), &theirs, 1e-2);
    }
}

#[test]
fn some_rows_are_those_of_the_whole() {
    let (x, w) = (tensor(&[2, 256], 10), panels(Format::Q6K, 45, 256, 11));
    let all = linear(&w, &x);
    for rows in [0..1, 3..13, 15..17, 20..45, 44..45] {
        let some = linear(&w.narrow(rows.clone()).unwrap(), &x);
        let want = all.narrow(1, rows.start, rows.len()).unwrap();
        assert_eq!(bits(&some), bits(&want), "{rows:?}");
    }
    let dense = blocks(Format::Q6K, 45, 256, 11).dequantize().unwrap();
    let some = w.narrow(7..45).unwrap().narrow(30..38).unwrap();
    assert_eq!(
        bits(&some.lookup(&[7]).unwrap()),
        bits(&dense.narrow(0, 44, 1).unwrap())
    );
    let looked_up = w.lookup(&[44, 0, 7]).unwrap();
    let want = Tensor::cat(&[44, 0, 7].map(|id| dense.narrow(0, id, 1).unwrap()), 0).unwrap();
    assert_eq!(bits(&looked_up), bits(&want));
    assert!(w.narrow(40..46).is_err() && w.lookup(&[45]).is_err());
}

#[test]
fn threads_do_not_matter() {
    let (x, w) = (tensor(&[3, 512], 12), panels(Format::Q8_0, 700, 512, 13));
    same_on_any_number_of_threads(|| linear(&w, &x));
}

#[test]
fn what_does_not_fit_is_refused() {
    let blocks = Arc::new(vec![0u8; 34 * 4]);
    let of = |start, dims| Blocks::new(blocks.clone(), start, Format::Q8_0, dims);
    assert!(of(0, (4, 32)).is_ok() && of(34, (3, 32)).is_ok());
    assert!(of(1, (4, 32)).is_err(), "beyond the end");
    assert!(of(0, (2, 33)).is_err(), "half a block");
    assert!(of(0, (usize::MAX, 32)).is_err(), "overflow");
    let four = Panels::new(&of(0, (4, 32)).unwrap()).unwrap();
    assert!(Panels::linear(&[&four], &tensor(&[1, 64], 1)).is_err());
    assert!(linear(&four, &tensor(&[0, 32], 1)).elem_count() == 0);
    assert!(quantize(Format::Q4K, (1, 128), |_, _| ()).is_err());
}

#[test]
fn panels_of_a_file_are_multiplied_where_they_are() {
    use super::{ALIGNMENT, arranged};
    for format in Format::ALL {
        let (rows, width) = (37, 512);
        let blocks = blocks(format, rows, width, 5);
        let whole = Panels::new(&blocks).unwrap();
        let data = arranged(format, (rows, width), blocks.data()).unwrap();
        // Bytes of a mapped file begin at a page; those of a vector may begin anywhere.
        let mut bytes = vec![0u8; data.len() + 2 * ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT) + ALIGNMENT;
        bytes[start..][..data.len()].copy_from_slice(&data);
        let bytes = Arc::new(bytes);
        let at = |start| Panels::at(bytes.clone(), start, format, (rows, width));
        let (mapped, x) = (at(start).unwrap(), tensor(&[3, width], 9));
        assert_eq!(
            bits(&linear(&mapped, &x)),
            bits(&linear(&whole, &x)),
            "{format}"
        );
        assert_eq!(mapped.bytes(), whole.bytes());
        let copied = mapped.copied().unwrap().narrow(20..37).unwrap();
        let some = whole.narrow(20..37).unwrap();
        assert_eq!(
            bits(&linear(&copied, &x)),
            bits(&linear(&some, &x)),
            "{format}"
        );
        // Between two cache lines, and cut short.
        assert!(
            at(start + 16).is_err() && at(start + 2 * ALIGNMENT).is_err(),
            "{format}"
        );
    }
}
