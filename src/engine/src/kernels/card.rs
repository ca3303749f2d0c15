//! The fused operations on NVIDIA cards: `card/fused.cu`, compiled when a card is opened.
//!
//! The source is compiled by NVRTC, the compiler in the CUDA runtime, for the card that is there, so a
//! build needs no list of cards. Whether the result can be trusted is found out by a [`trial`]; until
//! one fails the operations run on every card in f32, bf16 and f16.

mod trial;

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Tensor};

#[cfg(feature = "cuda")]
pub(super) use launch::{
    add_bias, add_gated, gather_taps, rms_norm_modulate, snake, split_heads, swiglu, unfold,
};
pub use trial::trial;

/// Set when a trial failed: candle's operations run instead.
static DISTRUSTED: AtomicBool = AtomicBool::new(false);

/// Whether the operations run where `x` is.
pub(super) fn runs(x: &Tensor) -> bool {
    cfg!(feature = "cuda")
        && x.device().is_cuda()
        && matches!(x.dtype(), DType::F32 | DType::BF16 | DType::F16)
        && !DISTRUSTED.load(Ordering::Relaxed)
}

#[cfg(feature = "cuda")]
mod launch {
    use std::sync::OnceLock;

    use candle_core::{
        CudaDevice, CudaStorage, DType, Error, Layout, Result, WithDType,
        backend::BackendStorage,
        bail,
        cuda_backend::{
            CudaDType, WrapErr,
            cudarc::{
                driver::{
                    CudaFunction, CudaSlice, CudaView, DeviceRepr, LaunchConfig, PushKernelArg,
                },
                nvrtc::{CompileOptions, compile_ptx_with_opts},
            },
        },
    };

    use crate::kernels::conv1d::Conv1dConfig;

    const SOURCE: &str = include_str!("card/fused.cu");
    const MODULE: &str = "acestep_fused";
    /// Threads of a block.
    const THREADS: u32 = 256;
    /// Threads that compute as one.
    const WARP: u32 = 32;
    /// Blocks of an operation on values in a row, each of which takes several of them then.
    const MOST_BLOCKS: usize = 1 << 16;

    /// What a card takes along its second dimension.
    const MOST_ROWS: usize = 65_535;

    /// Values on the card and where they lie.
    type Values<'a> = (&'a CudaStorage, &'a Layout);

    /// Runs `$body` with `$T` the type of `$values`.
    macro_rules! by_dtype {
        ($values:expr, $T:ident => $body:expr) => {
            match $values.0.dtype() {
                DType::F32 => {
                    type $T = f32;
                    $body
                }
                DType::BF16 => {
                    type $T = half::bf16;
                    $body
                }
                DType::F16 => {
                    type $T = half::f16;
                    $body
                }
                other => bail!("no fused operation in {other:?}"),
            }
        };
    }

    /// Launches a kernel of the values' type on its arguments, and gives its output.
    macro_rules! launch {
        ($device:expr, $name:literal, $T:ty, $len:expr, $config:expr, [$($input:expr),+], [$($size:expr),+]) => {{
            let device: &CudaDevice = $device;
            let function = function(device, concat!($name, "_"), <$T>::DTYPE)?;
            // SAFETY: the kernel writes every value before anyone reads it.
            #[expect(unsafe_code, reason = "an output that is written whole")]
            let mut out: CudaSlice<$T> = unsafe { device.alloc::<$T>($len)? };
            let stream = device.cuda_stream();
            let mut builder = stream.launch_builder(&function);
            $(builder.arg($input);)+
            builder.arg(&mut out);
            $(let size = $size; builder.arg(&size);)+
            // SAFETY: inputs, output and sizes are those that `fused.cu` declares, and the callers
            // check that the buffers hold what the sizes say.
            #[expect(unsafe_code, reason = "a kernel is launched by its arguments")]
            unsafe { builder.launch($config) }.w()?;
            Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
        }};
    }

    pub(crate) fn rms_norm_modulate(
        x: Values<'_>,
        weight: Values<'_>,
        modulation: Values<'_>,
        eps: f32,
    ) -> Result<CudaStorage> {
        let h = weight.1.shape().elem_count();
        let rows = x.1.shape().elem_count() / h.max(1);
        let fits =
            x.1.shape().dims().last() == Some(&h) && modulation.1.shape().elem_count() == 2 * h;
        if !fits {
            bail!("rms_norm_modulate: shapes do not fit");
        }
        by_dtype!(x, T => {
            let (a, b, c) = (view::<T>(x)?, view::<T>(weight)?, view::<T>(modulation)?);
            launch!(
                x.0.device(), "rms_norm_modulate", T, rows * h, blocks(rows)?,
                [&a, &b, &c], [small(h)?, eps]
            )
        })
    }

    pub(crate) fn split_heads(
        x: Values<'_>,
        weight: Values<'_>,
        angles: Option<Values<'_>>,
        (l, heads, d): (usize, usize, usize),
        eps: f32,
    ) -> Result<CudaStorage> {
        let len = x.1.shape().elem_count();
        let rows = len / d.max(1);
        by_dtype!(x, T => {
            let (a, b) = (view::<T>(x)?, view::<T>(weight)?);
            // Where nothing is turned no angle is read.
            let c = view::<T>(angles.unwrap_or(weight))?;
            launch!(
                x.0.device(), "split_heads", T, len, blocks(rows.div_ceil((THREADS / WARP) as usize))?,
                [&a, &b, &c],
                [small(rows)?, small(l)?, small(heads)?, small(d)?, eps, u32::from(angles.is_some())]
            )
        })
    }

    pub(crate) fn swiglu(gate: Values<'_>, up: Values<'_>) -> Result<CudaStorage> {
        let len = gate.1.shape().elem_count();
        by_dtype!(gate, T => {
            let (a, b) = (view::<T>(gate)?, view::<T>(up)?);
            launch!(gate.0.device(), "swiglu", T, len, in_a_row(len)?, [&a, &b], [len as u64])
        })
    }

    pub(crate) fn add_gated(x: Values<'_>, y: Values<'_>, gate: Values<'_>) -> Result<CudaStorage> {
        let len = x.1.shape().elem_count();
        let h = gate.1.shape().elem_count();
        by_dtype!(x, T => {
            let (a, b, c) = (view::<T>(x)?, view::<T>(y)?, view::<T>(gate)?);
            launch!(
                x.0.device(), "add_gated", T, len, in_a_row(len)?,
                [&a, &b, &c], [len as u64, small(h)?]
            )
        })
    }

    /// `table` holds the alphas, then the inverse betas, in f32.
    pub(crate) fn snake(x: Values<'_>, table: Values<'_>) -> Result<CudaStorage> {
        let (b, channels, n) = x.1.shape().dims3()?;
        let table = view::<f32>(table)?;
        let (alpha, inverse_beta) = table.split_at(channels);
        by_dtype!(x, T => {
            let a = view::<T>(x)?;
            launch!(
                x.0.device(), "snake", T, b * channels * n, along_rows(n, b * channels)?,
                [&a, &alpha, &inverse_beta], [small(channels)?, small(n)?]
            )
        })
    }

    /// `columns` is `[b, out, taps, stride, n]`, `bias` `[out]`: `[b, out, out_len]`.
    pub(crate) fn gather_taps(
        columns: Values<'_>,
        bias: Values<'_>,
        padding: usize,
        out_len: usize,
    ) -> Result<CudaStorage> {
        let (b, channels, taps, stride, n) = columns.1.shape().dims5()?;
        if bias.1.shape().elem_count() != channels {
            bail!("gather_taps: one bias for each channel");
        }
        by_dtype!(columns, T => {
            let (x, bias) = (view::<T>(columns)?, view::<T>(bias)?);
            launch!(
                columns.0.device(), "gather_taps", T, b * channels * out_len,
                along_rows(out_len, b * channels)?, [&x, &bias],
                [small(channels)?, small(taps)?, small(stride)?, small(n)?, small(padding)?, small(out_len)?]
            )
        })
    }

    /// `x` is `[b, in, n]`: `[b, in * kernel, out_len]`, of the outputs from `first` on.
    pub(crate) fn unfold(
        x: Values<'_>,
        kernel: usize,
        (first, out_len): (usize, usize),
        config: Conv1dConfig,
    ) -> Result<CudaStorage> {
        let (b, channels, n) = x.1.shape().dims3()?;
        let rows = b * channels * kernel;
        // Rows beyond what a card takes at once are done by blocks that take several.
        let shape = along_rows(out_len, rows.min(MOST_ROWS))?;
        by_dtype!(x, T => {
            let values = view::<T>(x)?;
            launch!(
                x.0.device(), "unfold", T, rows * out_len, shape, [&values],
                [
                    small(rows)?, small(kernel)?, small(n)?, small(first)?, small(out_len)?,
                    small(config.stride)?, small(config.dilation)?, small(config.padding)?
                ]
            )
        })
    }

    /// `y` is `[b, out, n]`, `bias` `[out]`, `residual` as `y`.
    pub(crate) fn add_bias(
        y: Values<'_>,
        bias: Values<'_>,
        residual: Option<Values<'_>>,
    ) -> Result<CudaStorage> {
        let (b, channels, n) = y.1.shape().dims3()?;
        let len = b * channels * n;
        let fits = residual.is_none_or(|residual| residual.1.shape().elem_count() == len);
        if bias.1.shape().elem_count() != channels || !fits {
            bail!("add_bias: shapes do not fit");
        }
        by_dtype!(y, T => {
            let (values, bias) = (view::<T>(y)?, view::<T>(bias)?);
            // Where nothing is added it is not read.
            let other = view::<T>(residual.unwrap_or(y))?;
            launch!(
                y.0.device(), "add_bias", T, len, along_rows(n, b * channels)?,
                [&values, &bias, &other], [small(channels)?, small(n)?, u32::from(residual.is_some())]
            )
        })
    }

    fn view<T: CudaDType + DeviceRepr>((storage, layout): Values<'_>) -> Result<CudaView<'_, T>> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("the kernels need contiguous input");
        };
        Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
    }

    /// A size as the kernels count.
    fn small(size: usize) -> Result<u32> {
        u32::try_from(size).map_err(Error::wrap)
    }

    fn blocks(count: usize) -> Result<LaunchConfig> {
        Ok(config((small(count.max(1))?, 1)))
    }

    fn in_a_row(len: usize) -> Result<LaunchConfig> {
        blocks(len.div_ceil(THREADS as usize).min(MOST_BLOCKS))
    }

    /// Rows of `n` values, each by blocks of its own.
    fn along_rows(n: usize, rows: usize) -> Result<LaunchConfig> {
        if rows > MOST_ROWS {
            bail!("{rows} rows are more than a card takes at once");
        }
        let along = n.div_ceil(THREADS as usize).clamp(1, 1024);
        Ok(config((small(along)?, small(rows.max(1))?)))
    }

    fn config((x, y): (u32, u32)) -> LaunchConfig {
        LaunchConfig {
            grid_dim: (x, y, 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes: 0,
        }
    }

    /// The kernel `prefix` for values in `dtype`.
    fn function(device: &CudaDevice, prefix: &str, dtype: DType) -> Result<CudaFunction> {
        static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
        let ptx = PTX.get_or_init(|| compile(device)).as_ref();
        let ptx = ptx.map_err(|why| Error::Msg(why.clone()))?;
        let name = format!("{prefix}{}", dtype.as_str());
        let function = device.get_or_load_custom_func(&name, MODULE, ptx)?;
        Ok(function.into_cuda_function())
    }

    fn compile(device: &CudaDevice) -> std::result::Result<String, String> {
        let stream = device.cuda_stream();
        let capability = stream.context().compute_capability();
        let (major, minor) = capability.map_err(|error| error.to_string())?;
        compile_for(major, minor)
    }

    /// The source as code for cards of a compute capability.
    fn compile_for(major: i32, minor: i32) -> std::result::Result<String, String> {
        let options = CompileOptions {
            options: vec![format!("--gpu-architecture=compute_{major}{minor}")],
            ..CompileOptions::default()
        };
        compile_ptx_with_opts(SOURCE, options)
            .map(|ptx| ptx.to_src())
            .map_err(|error| format!("the fused operations do not compile: {error}"))
    }

    #[cfg(test)]
    mod tests {
        use super::compile_for;

        /// Needs no card: the compiler is a library.
        #[test]
        fn the_source_compiles_for_every_generation_that_is_supported() {
            for (major, minor) in [(7, 5), (8, 0), (8, 9), (9, 0), (12, 0)] {
                let ptx = compile_for(major, minor).unwrap();
                for name in [
                    "rms_norm_modulate",
                    "split_heads",
                    "swiglu",
                    "add_gated",
                    "snake",
                    "gather_taps",
                    "unfold",
                    "add_bias",
                ] {
                    for dtype in ["f32", "bf16", "f16"] {
                        assert!(
                            ptx.contains(&format!(".entry {name}_{dtype}")),
                            "{name} {dtype}"
                        );
                    }
                }
            }
        }
    }
}
