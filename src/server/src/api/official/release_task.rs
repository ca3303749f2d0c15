//! `POST /release_task`: a job.

use acestep_studio::Studio;
use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{
    envelope::wrap,
    form::{Form, forget},
    order::Order,
};
use crate::api::error::Result;

/// Queues what is asked; `task_id` is the job's id.
pub(super) async fn release(State(studio): State<Studio>, form: Form) -> Result<Json<Value>> {
    let queued = Order::read(&studio, &form).and_then(|order| order.submit(&studio));
    let (job, notes) = match queued {
        Ok(queued) => queued,
        Err(refused) => {
            forget(&studio, &form.files);
            return Err(refused);
        }
    };
    Ok(wrap(json!({
        "task_id": job.id,
        "status": "queued",
        // One that runs already is the first.
        "queue_position": job.queue_position.unwrap_or(1),
        "notes": notes,
    })))
}
