//! Loading, failing, cancelling, reconfiguring.

use acestep_domain::{param::TURBO_MAX_STEPS, service::ServiceState};

use super::*;

#[test]
fn from_nothing_to_ready_with_limits_and_notes() {
    let fixture = fixture();
    let before = fixture.studio.status();
    assert_eq!(before.state, ServiceState::NotInitialized);
    assert_eq!((before.model, before.resolved), (None, None));
    assert_eq!(before.version, "1.2.3");
    let names: Vec<_> = before
        .lms
        .iter()
        .map(|lm| (lm.name.as_str(), lm.installed, lm.within_tier))
        .collect();
    assert_eq!(
        names,
        [
            ("acestep-5Hz-lm-0.6B", true, true),
            ("acestep-5Hz-lm-1.7B", false, false),
            ("acestep-5Hz-lm-4B", true, false),
        ]
    );
    let refused = told(fixture.studio.submit(&song()).unwrap_err());
    assert_eq!(refused.code, "not_ready");
    assert!(refused.hint.contains("Initialise"), "{refused}");

    let ready = load(&fixture.studio, TURBO).unwrap();
    assert_eq!(ready.state, ServiceState::Ready);
    assert_eq!(ready.model.unwrap().name, TURBO);
    assert_eq!(ready.resolved.unwrap().config_path, TURBO);
    assert_eq!(codes(&ready.notes), ["vram_simulated", "unused_tensors"]);
    let limits = ready.limits.unwrap();
    assert_eq!((limits.max_duration_secs, limits.max_batch_size), (360, 4));
    assert_eq!(fixture.studio.defaults().inference_steps, 8);
}

#[test]
fn every_change_of_the_service_is_announced() {
    let fixture = fixture();
    let mut watch = fixture.studio.watch();
    load(&fixture.studio, TURBO).unwrap();
    assert!(watch.has_changed().unwrap());
    watch.mark_unchanged();
    fixture.run(&song());
    assert!(watch.has_changed().unwrap());
}

#[test]
fn a_checkpoint_that_fails_the_check_leaves_the_loaded_model_at_work() {
    let fixture = ready();
    let broken =
        EngineError::checkpoint("/srv/x/acestep-v15-base/model.safetensors", "it is empty");
    fixture
        .script
        .lock()
        .unwrap()
        .checks
        .push_back(Act::Fail(broken));
    let error = told(load(&fixture.studio, BASE).unwrap_err());
    assert_eq!(error.code, "checkpoint");
    assert!(!error.to_string().contains("/srv"), "{error}");
    let status = fixture.studio.status();
    assert_eq!(status.state, ServiceState::Failed);
    assert_eq!(status.error.unwrap(), error);
    assert_eq!(status.requested.config_path.as_deref(), Some(BASE));
    assert_eq!(status.model.unwrap().name, TURBO);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn a_failed_load_can_be_tried_again() {
    for failure in [
        Act::Fail(EngineError::OutOfMemory {
            stage: Stage::Load,
            needed: None,
            free: None,
        }),
        Act::Panic("index out of bounds"),
    ] {
        let code = match &failure {
            Act::Panic(_) => "internal",
            _ => "out_of_memory",
        };
        let fixture = ready();
        fixture.script.lock().unwrap().loads.push_back(failure);
        assert_eq!(told(load(&fixture.studio, BASE).unwrap_err()).code, code);
        let status = fixture.studio.status();
        assert_eq!((status.state, status.model), (ServiceState::Failed, None));
        assert_eq!(
            told(fixture.studio.submit(&song()).unwrap_err()).code,
            "not_ready"
        );
        load(&fixture.studio, BASE).unwrap();
        assert_eq!(fixture.studio.status().error, None);
        assert_eq!(fixture.run(&song()).state, JobState::Done);
    }
}

#[test]
fn what_cannot_be_surveyed_is_loaded_and_not_planned() {
    let fixture = fixture();
    fixture.script.lock().unwrap().no_survey = true;
    let status = load(&fixture.studio, TURBO).unwrap();
    assert_eq!(status.state, ServiceState::Ready);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
    let unknown = told(fixture.studio.plan(&song()).unwrap_err());
    assert_eq!(unknown.code, "not_ready");
}

#[test]
fn a_load_under_way_shows_progress_refuses_a_second_and_can_be_cancelled() {
    let fixture = fixture();
    let (gate, keeper) = gate();
    fixture
        .script
        .lock()
        .unwrap()
        .loads
        .push_back(Act::Wait(gate));
    fixture.studio.initialize(asking_for(TURBO)).unwrap();
    keeper.wait();
    let status = fixture.studio.status();
    assert_eq!(status.state, ServiceState::Loading);
    let progress = status.progress.unwrap();
    assert_eq!(
        (
            progress.stage,
            progress.done,
            progress.total,
            progress.fraction
        ),
        (Stage::Load, 1, 2, 0.5)
    );
    let second = fixture.studio.initialize(asking_for(BASE)).unwrap_err();
    assert_eq!(told(second).code, "conflict");
    let early = told(fixture.studio.submit(&song()).unwrap_err());
    assert!(early.message.contains("still being loaded"), "{early}");

    let mut watch = fixture.studio.watch();
    fixture.studio.cancel_initialize();
    keeper.open();
    wait_for(async {
        while fixture.studio.status().state == ServiceState::Loading {
            watch.changed().await.unwrap();
        }
    });
    let status = fixture.studio.status();
    assert_eq!(status.state, ServiceState::NotInitialized);
    assert_eq!((status.error, status.progress), (None, None));
    load(&fixture.studio, TURBO).unwrap();
}

#[test]
fn a_load_waits_for_the_running_job_and_can_be_taken_back() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    fixture.studio.initialize(asking_for(BASE)).unwrap();
    assert_eq!(fixture.studio.status().state, ServiceState::Loading);
    fixture.studio.cancel_initialize();
    let status = fixture.studio.status();
    assert_eq!(status.state, ServiceState::Ready);
    assert_eq!(status.resolved.unwrap().config_path, TURBO);
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Done);
    assert_eq!(fixture.script.lock().unwrap().loaded, [TURBO]);
}

#[test]
fn whoever_waits_for_a_load_that_is_taken_back_hears_of_it() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let answer = wait_for(async {
        let waiting = fixture.studio.initialize_and_wait(asking_for(BASE));
        tokio::pin!(waiting);
        // The first poll asks for the load.
        tokio::select! {
            biased;
            answer = &mut waiting => return answer,
            () = std::future::ready(()) => {}
        }
        fixture.studio.cancel_initialize();
        waiting.await
    });
    let cancelled = told(answer.unwrap_err());
    assert_eq!(cancelled.code, "cancelled");
    assert!(cancelled.hint.contains("again"), "{cancelled}");
    keeper.open();
    fixture.end_of(&job.id);
}

#[test]
fn a_job_that_waited_through_a_change_of_model_is_settled_again_and_says_so() {
    let fixture = ready();
    load(&fixture.studio, BASE).unwrap();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let waiting = fixture
        .studio
        .submit(&with(song(), "inference_steps", 50))
        .unwrap();
    assert_eq!(waiting.params.inference_steps, 50);
    fixture.studio.initialize(asking_for(TURBO)).unwrap();
    keeper.open();
    assert_eq!(fixture.end_of(&first.id).state, JobState::Done);
    let done = fixture.end_of(&waiting.id);
    assert_eq!(
        (done.state, done.params.inference_steps),
        (JobState::Done, TURBO_MAX_STEPS)
    );
    let codes = codes(&done.notes);
    assert!(codes.contains(&"inference_steps_clamped"), "{codes:?}");
    assert!(codes.contains(&"model_changed"), "{codes:?}");
    let song = fixture.studio.song(&done.song_ids[0]).unwrap();
    assert_eq!(song.provenance.model, TURBO);
}

#[test]
fn a_load_asked_for_while_a_job_panics_is_carried_out_in_place_of_the_rebuild() {
    let fixture = ready();
    let (gate, keeper) = gate();
    fixture.play([Act::WaitAndPanic(gate)]);
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let mut watch = fixture.studio.watch();
    fixture.studio.initialize(asking_for(BASE)).unwrap();
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Failed);
    wait_for(async {
        while fixture.studio.status().state == ServiceState::Loading {
            watch.changed().await.unwrap();
        }
    });
    let status = fixture.studio.status();
    assert_eq!(status.state, ServiceState::Ready);
    assert_eq!(status.model.unwrap().name, BASE);
    assert_eq!(status.resolved.unwrap().config_path, BASE);
    assert_eq!(fixture.script.lock().unwrap().loaded, [TURBO, BASE]);
}

#[test]
fn limits_are_lifted_without_a_card_only() {
    let folder = tempfile::tempdir().unwrap();
    for (gib, longest) in [(0.0, 600), (8.0, 360)] {
        let script = Arc::new(Mutex::new(Script::default()));
        let mut options = options(folder.path());
        options.unlimited = true;
        options.capabilities.vram.total_gib = gib;
        options.capabilities.tier = GpuTier::from_vram_gib(gib);
        let studio =
            Studio::open_with(options, Box::new(Scripted(script)), Box::new(|_| found())).unwrap();
        let limits = studio.status().limits.unwrap();
        assert_eq!(limits.max_duration_secs, longest, "{gib} GiB");
    }
}

#[test]
fn in_service_mode_only_the_operators_configuration_loads() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open_with(
        StudioOptions {
            requested: asking_for(TURBO),
            service_mode: true,
            ..options(folder.path())
        },
        Box::new(Scripted(Arc::default())),
        Box::new(|_| found()),
    )
    .unwrap();
    assert!(studio.status().service_mode);
    let refused = told(load(&studio, BASE).unwrap_err());
    assert_eq!(refused.code, "conflict");
    assert!(refused.hint.contains("--service_mode"), "{refused}");
    let ready = load(&studio, TURBO).unwrap();
    assert_eq!(ready.model.unwrap().name, TURBO);
    for refused in [
        studio.load_lora("x", None),
        studio.set_lora_scale("x", 1.0),
        studio.unload_lora("x"),
    ] {
        assert_eq!(told(refused.unwrap_err()).code, "conflict");
    }
}

#[test]
fn a_start_that_fails_brings_the_panel_back() {
    let folder = tempfile::tempdir().unwrap();
    let script = Arc::new(Mutex::new(Script::default()));
    script
        .lock()
        .unwrap()
        .loads
        .push_back(Act::Fail(EngineError::OutOfMemory {
            stage: Stage::Load,
            needed: None,
            free: None,
        }));
    let studio = Studio::open_with(
        StudioOptions {
            pre_initialized: true,
            ..options(folder.path())
        },
        Box::new(Scripted(Arc::clone(&script))),
        Box::new(|_| found()),
    )
    .unwrap();
    assert!(!studio.status().shows_panel(), "loading is expected");
    load(&studio, TURBO).unwrap_err();
    assert!(studio.status().shows_panel());
    load(&studio, TURBO).unwrap();
    assert!(studio.status().shows_panel(), "and it stays, as a line");
}

#[test]
fn the_setting_that_is_wrong_is_the_one_that_is_blamed() {
    let fixture = ready();
    let refused = |config| told(wait_for(fixture.studio.initialize_and_wait(config)).unwrap_err());
    let lm = |name: &str| ServiceConfig {
        init_llm: None,
        ..with_lm(name)
    };
    let missing = refused(lm("nope"));
    assert_eq!(missing.field.as_deref(), Some("lm_model_path"));
    assert!(
        missing.message.contains("nope: the folder is missing"),
        "{missing}"
    );
    let main = refused(lm(BASE));
    assert_eq!(main.field.as_deref(), Some("lm_model_path"));
    assert_eq!(
        main.message,
        "acestep-v15-base is a main model, not a language model."
    );
    let model = refused(asking_for(LM));
    assert_eq!(model.field.as_deref(), Some("config_path"));
    assert_eq!(
        model.message,
        "acestep-5Hz-lm-0.6B is a language model, not a main model."
    );
    assert_eq!(
        refused(asking_for("vae")).field.as_deref(),
        Some("config_path")
    );
    // What is refused at once changes nothing.
    assert_eq!(fixture.studio.status().model.unwrap().name, TURBO);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}
