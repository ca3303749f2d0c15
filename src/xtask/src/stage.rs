//! Named steps with their seconds, and the summary at the end.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// The steps of a run, in order.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<(&'static str, Duration)>,
    /// Result lines of the test runners, said again at the end.
    quotes: Vec<String>,
}

impl Stages {
    /// Runs one step under a heading. A failure ends the run, since later steps cost more and would say the same.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Vec<String>) -> Result<T>,
    ) -> Result<T> {
        eprintln!("\n── {name}");
        let start = Instant::now();
        let result = work(&mut self.quotes);
        let took = start.elapsed();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        eprintln!("── {name}: {verdict} in {}", seconds(took));
        self.done.push((name, took));
        if result.is_err() {
            self.summary(Some(name));
        }
        result.with_context(|| format!("stage \"{name}\" failed"))
    }

    /// Prints every step with its time, then what the test runners said.
    pub(crate) fn summary(&self, failed: Option<&str>) {
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        eprintln!("\n── summary");
        for (name, took) in &self.done {
            let mark = if failed == Some(*name) {
                "FAILED"
            } else {
                "ok"
            };
            eprintln!("   {name:<32} {:>9}  {mark}", seconds(*took));
        }
        eprintln!("   {:<32} {:>9}", "in all", seconds(total));
        for quote in &self.quotes {
            eprintln!("   {quote}");
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
