//! How far a tensor is from its reference, in one report: largest absolute difference, the same
//! relative to the largest reference value, and the cosine.

use candle_core::{DType, Tensor};

/// The distance of two tensors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closeness {
    pub(crate) max_abs: f64,
    pub(crate) max_rel: f64,
    pub(crate) cosine: f64,
}

impl Closeness {
    /// Compares `got` with the reference `want`.
    #[track_caller]
    pub(crate) fn of(got: &Tensor, want: &Tensor) -> Self {
        assert_eq!(got.dims(), want.dims(), "shapes differ");
        let (got, want) = (values(got), values(want));
        assert!(
            got.iter().all(|v| v.is_finite()),
            "the result is not finite"
        );
        let largest = want.iter().fold(0f64, |m, v| m.max(v.abs()));
        assert!(largest > 1e-3, "a reference of zeros proves nothing");
        let max_abs = got
            .iter()
            .zip(&want)
            .fold(0f64, |m, (g, w)| m.max((g - w).abs()));
        let dot: f64 = got.iter().zip(&want).map(|(g, w)| g * w).sum();
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        Self {
            max_abs,
            max_rel: max_abs / largest,
            cosine: dot / (norm(&got) * norm(&want)),
        }
    }
}

/// Demands that the largest difference is at most `tolerance` of the largest reference value.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    let closeness = Closeness::of(got, want);
    let Closeness {
        max_abs,
        max_rel,
        cosine,
    } = closeness;
    let report =
        format!("{what}: max abs {max_abs:.2e}, max rel {max_rel:.2e}, cosine {cosine:.9}");
    // Shown by `--no-capture`, for whoever wants the figures of a green run.
    #[allow(clippy::print_stdout, reason = "figures of a test run")]
    {
        println!("{report}");
    }
    assert!(
        max_rel <= tolerance,
        "{report}, but {tolerance:.0e} is allowed"
    );
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .and_then(|tensor| tensor.flatten_all()?.to_vec1())
        .expect("a float tensor can be read")
}
