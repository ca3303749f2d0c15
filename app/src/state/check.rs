//! What the domain says about the form as it stands: the same reading and the same limits as the
//! studio's, so the page tells before the run what would be told after it.

use acestep_domain::{
    Note, UserError,
    generation::{
        GenerationParams,
        clamp::{Bounds, clamp_with_source},
        inputs::missing,
        read::params_from_json,
    },
};
use serde_json::Value;

/// The form, read and clamped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What would run; fields that cannot be read keep the defaults.
    pub params: GenerationParams,
    /// What would be clamped, lowered or ignored.
    pub notes: Vec<Note>,
    /// What cannot be read.
    pub errors: Vec<UserError>,
}

impl Checked {
    /// Reads `form` over `defaults` and clamps it to `bounds`; `source_secs` is the length of the source
    /// where it is known.
    pub fn new(
        form: &Value,
        defaults: GenerationParams,
        bounds: Bounds,
        source_secs: Option<f64>,
    ) -> Self {
        let read = match params_from_json(form, defaults.clone()) {
            Ok(read) => read,
            Err(error) => {
                return Self {
                    params: defaults,
                    notes: Vec::new(),
                    errors: vec![error],
                };
            }
        };
        let (mut notes, mut errors) = (read.notes, read.errors);
        let params = match clamp_with_source(read.params.clone(), bounds, source_secs) {
            Ok(clamped) => {
                notes.extend(clamped.notes);
                clamped.params
            }
            Err(error) => {
                // All that a task lacks is said at once, each at its control.
                let others = missing(&read.params)
                    .into_iter()
                    .filter(|other| other.field != error.field);
                errors.extend(others);
                errors.push(error);
                read.params
            }
        };
        Self {
            params,
            notes,
            errors,
        }
    }

    /// Notes about `key`.
    pub fn notes_for(&self, key: &str) -> Vec<Note> {
        self.notes
            .iter()
            .filter(|note| note.field.as_deref() == Some(key))
            .cloned()
            .collect()
    }

    /// What is wrong with `key`.
    pub fn error_for(&self, key: &str) -> Option<UserError> {
        self.errors
            .iter()
            .find(|error| error.field.as_deref() == Some(key))
            .cloned()
    }
}
