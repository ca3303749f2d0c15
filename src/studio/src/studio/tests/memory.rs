//! Jobs are held against the memory plan before they begin, and songs keep it.

use acestep_domain::{capabilities::DeviceKind, memory::StageMemory};
use acestep_engine::engine::LoadOptions;

use super::*;
use crate::backend::{Free, Memory, Models};

/// The released model in f32 on a processor with so many GiB.
fn memory(free: fn(DeviceKind) -> Free) -> Memory {
    Memory {
        models: Models::released(TURBO),
        options: LoadOptions::default(),
        free,
    }
}

const fn host(gib: u64) -> Free {
    Free {
        host: gib << 30,
        device: 0,
        others: 2 << 30,
        threads: 2,
    }
}

fn ready_with(free: fn(DeviceKind) -> Free) -> Fixture {
    let fixture = fixture();
    fixture.script.lock().unwrap().memory = Some(memory(free));
    load(&fixture.studio, TURBO).unwrap();
    fixture
}

#[test]
fn a_job_that_cannot_fit_is_refused_before_anything_runs() {
    let fixture = ready_with(|_| host(8));
    let plan = fixture.studio.plan(&song()).unwrap().0.memory;
    assert!(!plan.fits && plan.expected_peak_bytes.host > 8 << 30);
    let job = fixture.run(&song());
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.unwrap();
    assert_eq!(error.code, "out_of_memory");
    assert!(error.message.contains("8.0 GiB can be had"), "{error}");
    assert_eq!(error.field.as_deref(), Some("offload_to_cpu"));
    assert!(error.hint.contains("offload_dit_to_cpu true"), "{error:?}");
    assert_eq!(fixture.script.lock().unwrap().requests.len(), 0);
    // The studio goes on: with more memory the same job is made.
    fixture.script.lock().unwrap().memory = Some(memory(|_| host(64)));
    load(&fixture.studio, BASE).unwrap();
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn a_song_keeps_what_was_planned_and_measured() {
    let fixture = ready_with(|_| host(64));
    let (plan, _) = fixture.studio.plan(&song()).unwrap();
    let planned = plan.memory;
    assert!(planned.fits);
    let time = plan.time.unwrap();
    assert!(!time.measured && time.total > 0.0, "{time:?}");
    let job = fixture.run(&song());
    let kept = fixture
        .studio
        .song(&job.song_ids[0])
        .unwrap()
        .memory
        .unwrap();
    assert_eq!(kept.planned_bytes, planned.expected_peak_bytes);
    if cfg!(target_os = "linux") {
        assert!(kept.measured_host_bytes.unwrap() > 1 << 20);
    }
    let (again, _) = fixture.studio.plan(&song()).unwrap();
    let time = again.time.unwrap();
    assert!(time.measured, "a run was measured: {time:?}");
    let known = again
        .memory
        .stages
        .iter()
        .filter(|stage| stage.secs.is_some());
    assert!(known.count() > 0, "{:?}", again.memory);
}

#[test]
fn longer_songs_need_more_and_words_need_no_song() {
    let fixture = ready_with(|_| host(64));
    let peak = |params: &Value| {
        let plan = fixture.studio.plan(params).unwrap().0.memory;
        plan.expected_peak_bytes.host
    };
    let long = with(song(), "duration", 120);
    assert!(peak(&long) > peak(&song()));
    let refused = told(
        fixture
            .studio
            .plan(&json!({ "duration": "inf" }))
            .unwrap_err(),
    );
    assert_eq!(refused.field.as_deref(), Some("duration"));
    // Where nothing is known of sizes there is nothing to plan.
    let bare = self::fixture();
    assert_eq!(
        told(bare.studio.plan(&song()).unwrap_err()).code,
        "not_ready"
    );
}

#[test]
fn before_a_load_a_plan_is_of_what_would_be_loaded() {
    let fixture = fixture();
    fixture.script.lock().unwrap().memory = Some(memory(|_| host(64)));
    let (ahead, _) = fixture.studio.plan(&song()).unwrap();
    let note = &ahead.memory.notes[0];
    assert_eq!(note.code, "planned_before_load");
    assert!(note.message.contains(TURBO), "{note:?}");
    assert!(ahead.time.is_some());
    assert_eq!(
        told(fixture.studio.submit(&song()).unwrap_err()).code,
        "not_ready",
        "planned, but not run"
    );
    load(&fixture.studio, TURBO).unwrap();
    let (loaded, _) = fixture.studio.plan(&song()).unwrap();
    assert_eq!(codes(&loaded.memory.notes), [""; 0]);
    assert_eq!(
        loaded.memory.expected_peak_bytes,
        ahead.memory.expected_peak_bytes
    );
    for (loaded, ahead) in loaded.memory.stages.iter().zip(&ahead.memory.stages) {
        assert_eq!(
            (loaded.stage, loaded.peak_bytes),
            (ahead.stage, ahead.peak_bytes)
        );
        let secs = |stage: &StageMemory| stage.secs.unwrap_or_default();
        assert!(
            (secs(loaded) - secs(ahead)).abs() < 1e-6,
            "{loaded:?} {ahead:?}"
        );
    }
    assert_eq!(loaded.memory.stages.len(), ahead.memory.stages.len());
}
