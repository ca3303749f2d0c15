//! Progress of a command: one bar on stderr. Nothing is drawn where stderr is not a terminal.

use std::sync::{Mutex, PoisonError};

use acestep_engine::{error::Stage, observer::Observer};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows what a run tells. Ctrl-C ends the program, so nothing here cancels.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    shown: Mutex<Option<(Stage, usize)>>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Self {
            bar: ProgressBar::new(0),
            shown: Mutex::new(None),
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn words(stage: Stage) -> &'static str {
        match stage {
            Stage::Prepare => "Reading the prompt",
            Stage::LanguageModel => "Planning the song",
            Stage::Diffusion => "Diffusion",
            Stage::Decode => "Decoding",
            Stage::Save => "Saving",
            Stage::Load => "Loading the model",
            Stage::Encode => "Encoding",
        }
    }
}

impl Observer for Bar {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != Some((stage, item)) {
            *shown = Some((stage, item));
            // The template is a constant; a wrong one would only lose the looks.
            if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {pos}/{len} {eta}") {
                self.bar.set_style(style);
            }
            let name = Self::words(stage);
            self.bar.reset();
            self.bar.set_message(match stage {
                Stage::Decode | Stage::Save if item > 0 => format!("{name} take {}", item + 1),
                _ => name.to_owned(),
            });
        }
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    fn cancelled(&self) -> bool {
        false
    }
}
