//! Loading: the main model, then the language model beside it. Where only the language model changes,
//! the main model stays where it is.

use std::time::Instant;

use acestep_domain::{Note, UserError, service::Resolved};
use acestep_engine::{error::Error as EngineError, observer::Observer};
use tracing::{error, info, warn};

use super::{guarded, observe::LoadObserver};
use crate::{
    backend::{Backend, Memory},
    error::{Error, Result},
    queue::{CancelFlag, Load},
    studio::Shared,
};

pub(super) fn answer(shared: &Shared, backend: &mut dyn Backend, load: Load) {
    let outcome = models(shared, backend, &load.wanted, &load.cancel);
    let answer = match outcome {
        Ok(()) => Ok(shared.status()),
        Err(error) if error.is_cancelled() => {
            info!("loading was cancelled");
            shared.service.withdraw();
            Err(error)
        }
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "loading failed");
            let told = UserError::from(error);
            shared.service.failed(told.clone());
            Err(Error::User(told))
        }
    };
    shared.queue.load_done();
    shared.touch();
    if let Some(reply) = load.reply {
        // Whoever asked may have gone.
        reply.send(answer).ok();
    }
}

/// Checks the checkpoints, then drops what is loaded and loads them. Checkpoints that fail the check
/// leave what is loaded as it is.
fn models(
    shared: &Shared,
    backend: &mut dyn Backend,
    wanted: &Resolved,
    cancel: &CancelFlag,
) -> Result<()> {
    let observer = LoadObserver { shared, cancel };
    observer.check()?;
    guarded("loading", || backend.check(wanted))?.map_err(of_setting("config_path"))?;
    guarded("loading", || backend.check_lm(wanted))?.map_err(of_setting("lm_model_path"))?;
    observer.check()?;
    let stays = shared.service.runs_main(wanted);
    let mut dropped = Vec::new();
    if !stays {
        main_model(shared, backend, wanted, &observer)?;
        dropped = shared.refit_loras(&shared.service.model()?.name);
    }
    let notes = match language_model(shared, backend, wanted, &observer) {
        Ok(notes) => notes,
        Err(error) if error.is_cancelled() && stays => {
            shared.service.lm_given_up();
            shared.queue.set_model_loaded(true);
            return Err(error);
        }
        Err(error) if error.is_cancelled() || matches!(error, Error::Panicked { .. }) => {
            drop_all(shared, backend);
            return Err(error);
        }
        // Songs can be made without it.
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "the language model could not be loaded"
            );
            let told = UserError::from(error);
            vec![Note::new(
                "lm_failed",
                "lm_model_path",
                format!(
                    "Language model: {} {} Songs are made without it.",
                    told.message, told.hint
                ),
            )]
        }
    };
    shared.service.set_memory(surveyed(shared, wanted));
    shared.recall_pace();
    dropped.extend(notes);
    shared.service.ready(dropped);
    shared.queue.set_model_loaded(true);
    Ok(())
}

/// What memory plans are made of. Nothing but those hangs on it: what is loaded works without.
fn surveyed(shared: &Shared, wanted: &Resolved) -> Option<Memory> {
    (shared.survey)(wanted).unwrap_or_else(|error| {
        warn!(
            error = &error as &dyn std::error::Error,
            "nothing is known of the sizes of what is loaded, so runs are not planned"
        );
        None
    })
}

fn main_model(
    shared: &Shared,
    backend: &mut dyn Backend,
    wanted: &Resolved,
    observer: &LoadObserver<'_>,
) -> Result<()> {
    let started = Instant::now();
    drop_all(shared, backend);
    let loaded = guarded("loading", || backend.load(wanted, observer))
        .and_then(|loaded| loaded.map_err(of_setting("config_path")))
        .inspect_err(|_| backend.unload())?;
    info!(
        duration_ms = started.elapsed().as_millis() as u64,
        dtype = %loaded.model.dtype,
        attention = %loaded.model.attention,
        "loaded {}",
        loaded.model.name
    );
    shared.service.main_loaded(loaded);
    Ok(())
}

/// Loads, exchanges or gives up the language model; answers what is worth saying about it.
fn language_model(
    shared: &Shared,
    backend: &mut dyn Backend,
    wanted: &Resolved,
    observer: &LoadObserver<'_>,
) -> Result<Vec<Note>> {
    let started = Instant::now();
    shared.queue.set_model_loaded(false);
    shared.service.lm_loaded(None);
    let loaded = guarded("loading", || backend.load_lm(wanted, observer))
        .and_then(|loaded| loaded.map_err(Error::from))?;
    let Some(loaded) = loaded else {
        return Ok(Vec::new());
    };
    info!(
        duration_ms = started.elapsed().as_millis() as u64,
        dtype = %loaded.lm.dtype,
        "loaded {}",
        loaded.lm.name
    );
    shared.service.lm_loaded(Some(loaded.lm));
    Ok(loaded.notes)
}

/// A checkpoint that cannot be used is a matter of the setting that named it.
fn of_setting(field: &'static str) -> impl FnOnce(EngineError) -> Error {
    move |error| match error {
        source @ EngineError::Checkpoint { .. } => Error::Setting { field, source },
        other => other.into(),
    }
}

fn drop_all(shared: &Shared, backend: &mut dyn Backend) {
    shared.queue.set_model_loaded(false);
    shared.service.unloaded();
    backend.unload();
}

/// Loads `wide` in place of `half`, which is in force, for a run that cannot go on with it. Where that fails or
/// is cancelled, `half` comes back. `false` where the user has asked for a load meanwhile, which comes next.
pub(super) fn widen(
    shared: &Shared,
    backend: &mut dyn Backend,
    (half, wide): (&Resolved, &Resolved),
    cancel: &CancelFlag,
) -> Result<bool> {
    if !shared.queue.claim_load(cancel) {
        return Ok(false);
    }
    warn!("values left the range of half precision, so the models are loaded again in f32");
    shared.service.begin_again(wide);
    shared.touch();
    let outcome = models(shared, backend, wide, cancel);
    if outcome.is_err() {
        if shared.service.model().is_ok() {
            // It ended before anything was dropped.
            shared.service.withdraw();
        } else {
            rebuild(shared, backend, half);
        }
    }
    shared.queue.load_done();
    shared.touch();
    outcome.map(|()| true)
}

/// Loads the same models again, of whose state nothing is known after a panic. A load that the user asked for
/// meanwhile comes next and makes this one needless.
pub(super) fn rebuild(shared: &Shared, backend: &mut dyn Backend, wanted: &Resolved) {
    let cancel = CancelFlag::default();
    if !shared.queue.claim_load(&cancel) {
        drop_all(shared, backend);
        return;
    }
    warn!("the engine is rebuilt");
    shared.service.begin_again(wanted);
    shared.touch();
    shared.service.forget_main();
    match models(shared, backend, wanted, &cancel) {
        Ok(()) => {}
        Err(error) if error.is_cancelled() => shared.service.withdraw(),
        Err(error) => {
            error!(
                error = &error as &dyn std::error::Error,
                "the engine could not be rebuilt"
            );
            shared.service.failed(error.into());
        }
    }
    shared.queue.load_done();
}
