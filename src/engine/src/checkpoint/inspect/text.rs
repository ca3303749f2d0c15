//! A report in words, as `acestep inspect` prints it.

use std::fmt;

use acestep_domain::task::Family;

use super::{Inspection, ModelKind, ModelReport};

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path)?;
        for model in &self.models {
            write!(f, "{model}")?;
        }
        for lora in &self.loras {
            write!(f, "{lora}")?;
        }
        for problem in &self.problems {
            writeln!(f, "  ! {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ModelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.kind, self.family) {
            (ModelKind::Dit, Some(Family::Turbo)) => "DiT, turbo",
            (ModelKind::Dit, Some(Family::Base)) => "DiT, base",
            (ModelKind::Dit, None) => "DiT",
            (ModelKind::Vae, _) => "autoencoder",
            (ModelKind::TextEncoder, _) => "text encoder",
            (ModelKind::Lm, _) => "language model",
            (ModelKind::Unknown, _) => "unknown",
        };
        writeln!(f, "  {} ({kind})", self.name)?;
        if self.tensors > 0 {
            writeln!(
                f,
                "    {} tensors, {} parameters, {}, {:.2} GB in {}",
                self.tensors,
                self.parameters,
                self.dtype,
                self.bytes as f64 / 1e9,
                self.files.join(", ")
            )?;
        }
        for problem in &self.problems {
            writeln!(f, "    ! {problem}")?;
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "    {note}"))
    }
}
