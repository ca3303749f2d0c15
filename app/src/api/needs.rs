//! What a run of the form as it stands would need.

#[cfg(feature = "ssr")]
use acestep_domain::memory::in_use_by_others;
use acestep_domain::{event::Stage, memory::Change};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::ApiError;

/// Of the plan of a run what the page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunNeeds {
    /// The most memory in use at once, where the networks run.
    pub needed_bytes: u64,
    /// What can be had there.
    pub free_bytes: u64,
    /// What other programs use of it, in words; none where they use nothing.
    pub others: Option<String>,
    /// The run fits.
    pub fits: bool,
    /// What to change for a smaller need, where there is something.
    pub changes: Option<Vec<Change>>,
    /// Where it does not fit: the fields of the form to change, where that is enough.
    pub lowered: Option<Vec<Change>>,
    /// The time, where it is known.
    pub time: Option<TimeNeeds>,
    /// The model it is of, while that is not loaded.
    pub before_load: Option<String>,
}

/// How long a run takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeNeeds {
    /// Seconds of the stages that take part.
    pub stages: Vec<(Stage, f64)>,
    /// Seconds of all of them.
    pub total: f64,
    /// By what runs took on this machine.
    pub measured: bool,
}

/// Plans the run of `form`, a JSON object by parameter key, values as typed. Queues nothing. `None`
/// while there is nothing to plan: no model is loaded, or the form is not right yet, which its fields
/// say themselves.
#[server(name = GetNeeds, prefix = "/api/page", output = crate::wire::Answer)]
pub async fn needs(form: String) -> Result<Option<RunNeeds>, ApiError> {
    let form = crate::wire::read(&form).unwrap_or_default();
    Ok(plan(&form).ok())
}

/// The same of the form as it was left, while the server draws the page.
#[cfg(feature = "ssr")]
pub fn first() -> Option<RunNeeds> {
    let studio = super::context::studio().ok()?;
    let mut form = crate::state::fields::fields_from_params(&studio.defaults());
    if let (Some(fields), Some(serde_json::Value::Object(draft))) =
        (form.as_object_mut(), super::snapshot::draft())
    {
        fields.extend(draft);
    }
    plan(&form).ok()
}

#[cfg(feature = "ssr")]
fn plan(form: &serde_json::Value) -> Result<RunNeeds, ApiError> {
    use crate::state::request::{Wish, parameters};

    // What is written first in Simple becomes a song, and that is what takes long.
    let request = parameters(form, Wish::of_mode(form));
    // What else would be noted stands at the form's own controls.
    let (plan, _notes) = super::context::studio()?
        .plan(&request)
        .map_err(super::context::user)?;
    let before_load = plan.memory.notes.iter().find_map(|note| {
        let model = note
            .figures
            .get("model")
            .filter(|_| note.code == "planned_before_load");
        model.cloned()
    });
    Ok(RunNeeds {
        before_load,
        needed_bytes: plan.memory.expected_peak_bytes.at_work(),
        free_bytes: plan.memory.free_bytes,
        others: (plan.memory.others_bytes > 0)
            .then(|| in_use_by_others(plan.memory.others_bytes, &plan.memory.other_programs)),
        fits: plan.memory.fits,
        changes: plan.memory.next_smaller.map(|smaller| smaller.changes),
        lowered: plan.memory.lowered.map(|smaller| smaller.changes),
        time: plan.time.map(|time| TimeNeeds {
            stages: time.stages.into_iter().collect(),
            total: time.total,
            measured: time.measured,
        }),
    })
}
