//! Splitting one output among the threads of the rayon pool.

use rayon::prelude::*;

/// Runs `f` on a thread of the pool. Many small operations in a row start their parts there without
/// waking the pool and waiting for it each time, which for a step of one token takes as long as the
/// arithmetic.
pub(crate) fn on_the_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

/// An output buffer whose disjoint parts are written by several tasks at once.
///
/// The tasks of a convolution own a range of columns in a range of rows, which no split of a
/// slice can express.
pub(super) struct SharedOut<'a> {
    data: *mut f32,
    len: usize,
    owner: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer comes from a `&mut [f32]` held for 'a, and the callers of the unsafe
// methods promise that no value is reached by two tasks.
#[expect(unsafe_code, reason = "tasks write disjoint parts")]
unsafe impl Sync for SharedOut<'_> {}

impl<'a> SharedOut<'a> {
    pub(super) fn new(data: &'a mut [f32]) -> Self {
        Self {
            data: data.as_mut_ptr(),
            len: data.len(),
            owner: std::marker::PhantomData,
        }
    }

    /// The `len` values from `start`.
    ///
    /// # Safety
    /// No other task may reach any of them while the slice lives.
    #[expect(
        unsafe_code,
        clippy::mut_from_ref,
        reason = "tasks write disjoint parts"
    )]
    pub(super) unsafe fn slice(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.len, "a task stays inside the output");
        // SAFETY: in bounds by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), len) }
    }

    /// Writes `values` to `start`, `start + stride`, ….
    ///
    /// # Safety
    /// No other task may reach any of these places at the same time.
    #[expect(unsafe_code, reason = "tasks write disjoint parts")]
    pub(super) unsafe fn scatter(&self, start: usize, stride: usize, values: &[f32]) {
        let Some(last) = values.len().checked_sub(1) else {
            return;
        };
        assert!(
            start + last * stride < self.len,
            "a task stays inside the output"
        );
        for (i, &value) in values.iter().enumerate() {
            // SAFETY: `i <= last`, in bounds by the assertion; exclusive by the caller's promise.
            unsafe { *self.data.add(start + i * stride) = value };
        }
    }
}

/// Runs `task(scratch, index)` for every index; tasks that run on one thread one after another
/// share a scratch buffer. Results must not depend on what the scratch holds at the start.
pub(super) fn for_each_with_scratch<S>(
    tasks: usize,
    scratch: impl Fn() -> S + Sync + Send,
    task: impl Fn(&mut S, usize) + Sync + Send,
) {
    (0..tasks)
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(scratch, |scratch, index| task(scratch, index));
}
