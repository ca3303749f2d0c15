//! How fast the kernels are, beside the f32 matrix product of the same machine in the same run.
//!
//! `cargo bench -p acestep-engine --bench kernels`. The table at the end shows, for the best
//! iteration of each, the rate and its share of the matrix product's: at least 0.4 is wanted of
//! the convolutions. A linear layer of one row and what lies between two products are bound by the
//! memory: their share is that of the rate at which all threads read.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acestep_engine::kernels::attention::{fused, standard};
use acestep_engine::kernels::conv_transpose1d::{ConvTranspose1d, ConvTranspose1dConfig};
use acestep_engine::kernels::conv1d::{Conv1d, Conv1dConfig};
use acestep_engine::kernels::gated::add_gated;
use acestep_engine::kernels::heads::split_heads;
use acestep_engine::kernels::matvec;
use acestep_engine::kernels::norm::rms_norm_modulate;
use acestep_engine::kernels::prepacked::Prepacked;
use acestep_engine::kernels::quantized::{Blocks, Format, Panels, quantize};
use acestep_engine::kernels::rates::Reader;
use acestep_engine::kernels::snake::Snake;
use acestep_engine::kernels::swiglu::swiglu;
use acestep_engine::memory::HugePages;
use acestep_engine::nn::Mask;
use candle_core::{DType, Device, Tensor};
use criterion::Criterion;

/// As in the program.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

struct Row {
    name: String,
    work: Work,
    best: Duration,
}

/// What one iteration does, and what its rate is held against.
#[derive(Clone, Copy)]
enum Work {
    /// Multiplications and additions, against the matrix product.
    Operations(f64),
    /// Bytes that come from memory, against reading them alone.
    Bytes(f64),
    /// A rate says nothing.
    Time,
}

struct Bench {
    criterion: Criterion,
    rows: RefCell<Vec<Row>>,
    /// Bytes a second that all threads read.
    memory: f64,
}

impl Bench {
    fn run<T>(&mut self, name: &str, operations: f64, f: impl FnMut() -> T) {
        self.work(name, Work::Operations(operations), f);
    }

    fn work<T>(&mut self, name: &str, work: Work, mut f: impl FnMut() -> T) {
        let mut best = Duration::MAX;
        self.criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let start = Instant::now();
                    black_box(f());
                    let took = start.elapsed();
                    best = best.min(took);
                    total += took;
                }
                total
            });
        });
        // A filter on the command line leaves the others out.
        if best < Duration::MAX {
            self.rows.borrow_mut().push(Row {
                name: name.to_owned(),
                work,
                best,
            });
        }
    }

    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    fn report(&self) {
        let rows = self.rows.borrow();
        let product = rows
            .iter()
            .find_map(|row| match row.work {
                Work::Operations(operations) => Some(operations / row.best.as_secs_f64()),
                _ => None,
            })
            .unwrap_or(f64::NAN);
        println!("\nmemory {:.1} GB/s", self.memory / 1e9);
        println!(
            "{:48} {:>9} {:>12} {:>6}",
            "kernel", "best ms", "rate", "share"
        );
        for row in rows.iter() {
            let secs = row.best.as_secs_f64();
            let (rate, unit, share) = match row.work {
                Work::Operations(operations) => (operations / secs, "GFLOP/s", product),
                Work::Bytes(bytes) => (bytes / secs, "GB/s", self.memory),
                Work::Time => {
                    println!("{:48} {:9.3}", row.name, secs * 1e3);
                    continue;
                }
            };
            println!(
                "{:48} {:9.3} {:6.1} {unit:7} {:4.2}",
                row.name,
                secs * 1e3,
                rate / 1e9,
                rate / share
            );
        }
    }
}

fn random(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len)
        .map(|i| (i * 7919 % 2003) as f32 / 1000.0 - 1.0)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("the shape holds the values")
}

/// `[m, k] x [k, n]` by the gemm crate on all threads, which is what candle's linear layers use.
fn matrix_product(bench: &mut Bench) {
    let (m, n, k) = (1500, 6144, 2048);
    let (a, b) = (random(&[m, k]), random(&[k, n]));
    bench.run(
        "matrix product 1500 x 2048 x 6144",
        2.0 * (m * n * k) as f64,
        || a.matmul(&b).expect("shapes fit"),
    );
}

fn convolutions(bench: &mut Bench) {
    let x = random(&[1, 128, 48_000]);
    let bias = random(&[128]);
    let snake =
        Snake::new(&random(&[128]), &random(&[128]), DType::F32).expect("one beta an alpha");
    for (kernel, dilation) in [(7, 1), (7, 3), (7, 9), (1, 1)] {
        let config = Conv1dConfig {
            stride: 1,
            padding: dilation * (kernel / 2),
            dilation,
        };
        let conv = Conv1d::new(&random(&[128, 128, kernel]), Some(&bias), config).expect("valid");
        let operations = 2.0 * (128 * 128 * kernel * 48_000) as f64;
        let name = format!("conv1d k{kernel} dilation {dilation}, 128 channels x 48000");
        bench.run(&name, operations, || conv.forward(&x).expect("valid"));
        if kernel == 7 && dilation == 1 {
            bench.run(&format!("snake, {name}"), operations, || {
                conv.forward_snake(&x, &snake).expect("valid")
            });
        }
    }
    bench.work("snake, 128 channels x 48000", Work::Time, || {
        snake.forward(&x).expect("valid")
    });

    let deep = random(&[1, 1024, 2560]);
    let config = Conv1dConfig {
        padding: 3,
        ..Conv1dConfig::default()
    };
    let conv = Conv1d::new(&random(&[1024, 1024, 7]), None, config).expect("valid");
    let operations = 2.0 * (1024_usize * 1024 * 7 * 2560) as f64;
    bench.run("conv1d k7, 1024 channels x 2560", operations, || {
        conv.forward(&deep).expect("valid")
    });
    let wide = random(&[1, 2048, 250]);
    let conv_wide = Conv1d::new(&random(&[2048, 2048, 7]), None, config).expect("valid");
    let operations = 2.0 * (2048_usize * 2048 * 7 * 250) as f64;
    bench.run("conv1d k7, 2048 channels x 250", operations, || {
        conv_wide.forward(&wide).expect("valid")
    });
    let short = random(&[1, 1024, 96]);
    let operations = 2.0 * (1024_usize * 1024 * 7 * 96) as f64;
    bench.run("conv1d k7, 1024 channels x 96", operations, || {
        conv.forward(&short).expect("valid")
    });
}

fn rate_changes(bench: &mut Bench) {
    for (input, output, stride, n) in [
        (128, 128, 2, 24_000),
        (256, 128, 4, 6_000),
        (512, 256, 4, 3_000),
        (1024, 512, 6, 512),
        (2048, 1024, 10, 256),
    ] {
        let config = ConvTranspose1dConfig {
            stride,
            padding: stride / 2,
            output_padding: 0,
        };
        let weight = random(&[input, output, 2 * stride]);
        let conv = ConvTranspose1d::new(&weight, Some(&random(&[output])), config).expect("valid");
        let x = random(&[1, input, n]);
        let operations = 2.0 * (input * output * 2 * stride * n) as f64;
        let name = format!("conv_transpose1d {input} to {output}, stride {stride}, {n}");
        bench.run(&name, operations, || conv.forward(&x).expect("valid"));
    }
    let config = Conv1dConfig {
        stride: 10,
        padding: 5,
        dilation: 1,
    };
    let conv = Conv1d::new(&random(&[2048, 1024, 20]), None, config).expect("valid");
    let x = random(&[1, 1024, 2560]);
    let operations = 2.0 * (2048_usize * 1024 * 20 * 256) as f64;
    bench.run("conv1d 1024 to 2048, stride 10, 2560", operations, || {
        conv.forward(&x).expect("valid")
    });
}

fn attentions(bench: &mut Bench) {
    let (heads, l, d) = (16, 1500, 128);
    let (q, k) = (random(&[1, heads, l, d]), random(&[1, heads / 2, l, d]));
    let operations = 4.0 * (heads * l * l * d) as f64;
    let scale = (d as f32).powf(-0.5);
    bench.run("attention 16 heads, 1500 x 1500 x 128", operations, || {
        fused(&q, &k, &k, scale, Mask::None).expect("valid")
    });
    bench.run("the same, standard form", operations, || {
        standard(&q, &k, &k, scale, Mask::None).expect("valid")
    });
    let band = 4.0 * (heads * l * 257 * d) as f64;
    bench.run("attention, window of 257 keys", band, || {
        fused(&q, &k, &k, scale, Mask::Window(128)).expect("valid")
    });
    let one = random(&[1, heads, 1, d]);
    bench.work("attention of one query, 1500 keys", Work::Time, || {
        fused(&one, &k, &k, scale, Mask::Causal).expect("valid")
    });
}

/// What lies between two matrix products of a layer, over four minutes of music: each value is read and
/// written once.
fn between(bench: &mut Bench) {
    let (l, h, i, d) = (3000, 2048, 6144, 128);
    let bytes = |values: usize| Work::Bytes((values * size_of::<f32>()) as f64);
    let (x, y) = (random(&[1, l, h]), random(&[1, l, h]));
    let (weight, rows) = (random(&[h]), random(&[1, 6, h]));
    let (modulation, gate) = (
        rows.narrow(1, 0, 2).expect("six rows"),
        rows.narrow(1, 2, 1).expect("six rows"),
    );
    bench.work("norm and modulation, 3000 x 2048", bytes(2 * l * h), || {
        rms_norm_modulate(&x, &weight, 1e-6, &modulation).expect("valid")
    });
    bench.work("gated residual, 3000 x 2048", bytes(3 * l * h), || {
        add_gated(&x, &y, &gate).expect("valid")
    });
    let (head, angles) = (random(&[d]), random(&[l, d]));
    bench.work(
        "heads, norm and RoPE, 3000 x 16 x 128",
        bytes(2 * l * h),
        || split_heads(&x, &head, 1e-6, Some(&angles)).expect("valid"),
    );
    let (gate, up) = (random(&[1, l, i]), random(&[1, l, i]));
    bench.work("SwiGLU, 3000 x 6144", bytes(3 * l * i), || {
        swiglu(&gate, &up).expect("valid")
    });
}

/// Linear layers 2048 to 6144 in every format of their weights.
fn linears(bench: &mut Bench) {
    /// So many matrices take turns that none is left in a cache.
    const MATRICES: usize = 12;
    let (outputs, width) = (6144, 2048);
    let dense = random(&[outputs, width]);
    let packed = |format| {
        let values = dense.flatten_all()?.to_vec1::<f32>()?;
        let blocks = quantize(format, (outputs, width), |row, out| {
            out.copy_from_slice(&values[row * width..][..width]);
        })?;
        let blocks = Blocks::new(Arc::new(blocks), 0, format, (outputs, width))?;
        (0..MATRICES)
            .map(|_| Panels::new(&blocks))
            .collect::<candle_core::Result<Vec<_>>>()
    };
    let dense: Vec<_> = (0..MATRICES)
        .map(|_| dense.copy().expect("memory"))
        .collect();
    let x = random(&[1, width]);
    let bytes = (outputs * width * size_of::<f32>() * MATRICES) as f64;
    bench.work("linear f32, 1 row", Work::Bytes(bytes), || {
        for weight in &dense {
            black_box(matvec::linear(&x, weight).expect("valid"));
        }
    });
    // Values that bf16 has, as both read them.
    let values = dense[0]
        .to_dtype(DType::BF16)
        .and_then(|values| values.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>())
        .expect("memory");
    for stored in [DType::F32, DType::BF16] {
        let name = format!("linear {} packed", stored.as_str());
        let read = |row, out: &mut [f32]| out.copy_from_slice(&values[row * width..][..width]);
        let pack = |_| Prepacked::new((outputs, width), stored, read).expect("memory");
        let weights: Vec<_> = (0..MATRICES).map(pack).collect();
        let bytes = (weights[0].bytes() * MATRICES) as f64;
        bench.work(&format!("{name}, 1 row"), Work::Bytes(bytes), || {
            for weight in &weights {
                black_box(Prepacked::linear(&[weight], &x).expect("valid"));
            }
        });
        for n in [16, 375, 1500] {
            let x = random(&[n, width]);
            let operations = 2.0 * (n * outputs * width) as f64;
            bench.run(&format!("{name}, {n} rows"), operations, || {
                Prepacked::linear(&[&weights[0]], &x).expect("valid")
            });
        }
    }
    for n in [16, 375, 1500] {
        let x = random(&[n, width]);
        let operations = 2.0 * (n * outputs * width) as f64;
        bench.run(&format!("linear f32 by gemm, {n} rows"), operations, || {
            x.matmul(&dense[0].t().expect("two dimensions"))
                .expect("shapes fit")
        });
    }
    for format in [Format::Q8_0, Format::Q4K, Format::Q6K] {
        let weights = packed(format).expect("whole blocks");
        let bytes = (weights[0].bytes() * MATRICES) as f64;
        bench.work(
            &format!("linear {format}, 1 row"),
            Work::Bytes(bytes),
            || {
                for weight in &weights {
                    black_box(Panels::linear(&[weight], &x).expect("valid"));
                }
            },
        );
        for rows in [4, 16, 375, 1500] {
            let x = random(&[rows, width]);
            let operations = 2.0 * (rows * outputs * width) as f64;
            bench.run(&format!("linear {format}, {rows} rows"), operations, || {
                Panels::linear(&[&weights[0]], &x).expect("valid")
            });
        }
    }
}

fn main() {
    let criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    let mut bench = Bench {
        criterion,
        rows: RefCell::default(),
        memory: {
            let reader = Reader::new(256 << 20);
            (0..5).map(|_| reader.read()).fold(0.0, f64::max)
        },
    };
    matrix_product(&mut bench);
    convolutions(&mut bench);
    rate_changes(&mut bench);
    attentions(&mut bench);
    between(&mut bench);
    linears(&mut bench);
    bench.criterion.final_summary();
    bench.report();
}
