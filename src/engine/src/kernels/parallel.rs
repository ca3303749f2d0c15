//! Splitting one output among the threads of the rayon pool.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// Runs `f` on a thread of the pool. Many small operations in a row start their parts there without
/// waking the pool and waiting for it each time, which for a step of one token takes as long as the
/// arithmetic.
pub(crate) fn on_the_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

/// The `len` values that `write` sets. Zeroing them first would be one more pass over memory, by one thread
/// while all others wait.
///
/// # Safety
/// `write` sets every value, and reads none that it has not set.
#[expect(unsafe_code, reason = "memory is handed out before it is written")]
pub(super) unsafe fn filled(len: usize, write: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut values = room_for(len);
    // SAFETY: the capacity is `len`, and the caller promises to write before reading.
    write(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr(), len) });
    // SAFETY: all of them are set, as the caller promises.
    unsafe { values.set_len(len) };
    values
}

/// As [`filled`], of several vectors at once.
///
/// # Safety
/// The same.
#[expect(unsafe_code, reason = "memory is handed out before it is written")]
pub(super) unsafe fn all_filled(
    lens: &[usize],
    write: impl FnOnce(&mut [&mut [f32]]),
) -> Vec<Vec<f32>> {
    let mut all: Vec<Vec<f32>> = lens.iter().map(|&len| room_for(len)).collect();
    let mut slices: Vec<&mut [f32]> = all
        .iter_mut()
        .zip(lens)
        // SAFETY: as above.
        .map(|(values, &len)| unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr(), len) })
        .collect();
    write(&mut slices);
    for (values, &len) in all.iter_mut().zip(lens) {
        // SAFETY: as above.
        unsafe { values.set_len(len) };
    }
    all
}

fn room_for(len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    if cfg!(debug_assertions) {
        // A value that was left out is seen by every test that looks at it.
        values.resize(len, f32::NAN);
    }
    values
}

/// Starts the threads that the kernels run on: so many, or one for each core that the process may use.
/// Without it they start when something is first computed, and a system that gives none ends the program.
/// Only the first call acts, and only before anything was computed, while the program has one thread.
///
/// # Errors
/// The system gives no threads.
#[expect(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "candle is told by the environment alone"
)]
pub fn start_threads(threads: Option<usize>) -> std::io::Result<()> {
    /// What rayon reads, and candle for its products, which would take one thread for two of a core.
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    let threads = match (threads, std::env::var_os(VARIABLE)) {
        (Some(threads), _) => threads,
        (None, None) => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        // Of rayon, 0 is what it would do by itself, which is to read the variable.
        (None, Some(_)) => 0,
    };
    if threads > 0 {
        // SAFETY: the caller says that no other thread is there to read the environment.
        unsafe { std::env::set_var(VARIABLE, threads.to_string()) };
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().map_err(std::io::Error::other)
}

/// Threads that the kernels run on.
pub fn threads() -> usize {
    rayon::current_num_threads()
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

/// Runs `task(scratch, index)` for every index, each thread with one scratch buffer for all the tasks
/// that it takes. Results must not depend on what the scratch holds at the start.
pub(super) fn for_each_with_scratch<S>(
    tasks: usize,
    scratch: impl Fn() -> S + Sync + Send,
    task: impl Fn(&mut S, usize) + Sync + Send,
) {
    // Rayon's own `for_each_init` would make a buffer for every task: it splits down to single ones.
    let next = AtomicUsize::new(0);
    let take = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        (index < tasks).then_some(index)
    };
    (0..rayon::current_num_threads().min(tasks))
        .into_par_iter()
        .with_max_len(1)
        .for_each(|_| {
            let Some(first) = take() else { return };
            let mut scratch = scratch();
            task(&mut scratch, first);
            while let Some(index) = take() {
                task(&mut scratch, index);
            }
        });
}

#[cfg(test)]
mod tests {
    use super::for_each_with_scratch;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_task_runs_once_and_a_thread_makes_one_buffer() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(3)
            .build()
            .unwrap();
        for tasks in [0, 1, 2, 1000] {
            let buffers = AtomicUsize::new(0);
            let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.install(|| {
                for_each_with_scratch(
                    tasks,
                    || buffers.fetch_add(1, Ordering::Relaxed),
                    |_, index| {
                        runs[index].fetch_add(1, Ordering::Relaxed);
                    },
                );
            });
            assert!(runs.iter().all(|run| run.load(Ordering::Relaxed) == 1));
            let buffers = buffers.load(Ordering::Relaxed);
            assert!(buffers <= 3.min(tasks), "{buffers} for {tasks} tasks");
        }
    }
}
