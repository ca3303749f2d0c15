//! Jobs are held against the memory plan before they begin, and songs keep it.

use std::sync::atomic::{AtomicU64, Ordering};

use acestep_domain::{
    generation::clamp::minutes,
    memory::{OtherProgram, StageMemory},
    tier::LmSize,
};
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
        largest_others: |_| {
            let (name, bytes) = ("browser".to_owned(), 3 << 29);
            vec![OtherProgram { name, bytes }]
        },
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
    let had = "8.0 GiB can be had while other programs use 2.0 GiB (browser 1.5 GiB), so";
    assert!(error.message.contains(had), "{error}");
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

/// Bytes that [`room_for_plans`] leaves; of the one test that asks it.
static HOST_OF_PLANS: AtomicU64 = AtomicU64::new(64 << 30);

fn room_for_plans(_: DeviceKind) -> Free {
    Free {
        host: HOST_OF_PLANS.load(Ordering::Relaxed),
        ..host(0)
    }
}

#[test]
fn the_language_model_plans_no_song_that_would_not_fit() {
    let fixture = fixture();
    fixture.script.lock().unwrap().memory = Some(Memory {
        models: Models::released(TURBO).with_released_lm(LmSize::Small),
        ..memory(room_for_plans)
    });
    wait_for(fixture.studio.initialize_and_wait(with_lm(LM))).unwrap();
    let limit = fixture.studio.status().limits.unwrap().max_duration_secs;
    let mut open = song();
    open.as_object_mut().unwrap().remove("duration");
    let told = || {
        let job = fixture.run(&open);
        assert_eq!(job.state, JobState::Done, "{:?}", job.error);
        let mut notes = job.notes.into_iter();
        let note = notes.find(|note| note.code == "planned_to_fit");
        let longest = *fixture.script.lock().unwrap().longest.last().unwrap();
        (longest, note)
    };
    assert_eq!(told(), (limit, None));

    // A little less than the longest needs.
    let fits = |secs: u32| {
        let plan = fixture.studio.plan(&with(song(), "duration", secs));
        plan.unwrap().0.memory.fits
    };
    let mut room = 64 << 30;
    while fits(limit) {
        room -= 8 << 20;
        HOST_OF_PLANS.store(room, Ordering::Relaxed);
    }
    let (longest, note) = told();
    let note = note.unwrap();
    assert!((60..limit).contains(&longest), "{longest}");
    assert_eq!(note.field.as_deref(), Some("duration"));
    assert_eq!(note.figure("used"), Some(&*minutes(f64::from(longest))));
    assert!(fits(longest) && !fits(longest + 1));
}

/// Bytes that [`tight`] leaves; of the one test that asks it.
static HOST: AtomicU64 = AtomicU64::new(64 << 30);

fn tight(_: DeviceKind) -> Free {
    Free {
        host: HOST.load(Ordering::Relaxed),
        ..host(0)
    }
}

#[test]
fn who_allows_it_gets_fewer_or_shorter_songs_where_the_memory_is_too_little() {
    let fixture = ready_with(tight);
    let studio = &fixture.studio;
    let fits = |params: &Value, bytes: u64| {
        HOST.store(bytes, Ordering::Relaxed);
        studio.plan(params).unwrap().0.memory.fits
    };
    // As little as the smaller one needs, which is too little for the larger.
    let room_for = |small: &Value, large: &Value| {
        let (mut less, mut enough) = (0, 64 << 30);
        while enough - less > 1 << 20 {
            let between = u64::midpoint(less, enough);
            if fits(small, between) {
                enough = between;
            } else {
                less = between;
            }
        }
        assert!(!fits(large, enough));
    };
    let told_of = |job: &Job, field: &str| {
        let mut notes = job.notes.iter();
        let note = notes.find(|note| note.code == "lowered_to_fit")?;
        assert_eq!(note.field.as_deref(), Some(field));
        let figure = |name| note.figure(name).unwrap_or_default().to_owned();
        Some((figure("asked"), figure("used")))
    };
    let fit = |params: &Value| with(params.clone(), "fit", true);

    let long = with(song(), "duration", 360);
    room_for(&song(), &long);
    let refused = fixture.run(&long);
    assert_eq!(refused.error.unwrap().code, "out_of_memory");
    let (plan, notes) = studio.plan(&fit(&long)).unwrap();
    assert!(
        plan.memory.fits && codes(&notes) == ["lowered_to_fit"],
        "{notes:?}"
    );
    let job = studio.submit(&fit(&long)).unwrap();
    let secs = job.params.duration_secs.unwrap();
    assert!((10.0..360.0).contains(&secs), "{secs}");
    let shown = ("6:00".to_owned(), minutes(secs));
    assert_eq!(told_of(&job, "duration"), Some(shown.clone()));
    assert_eq!(fixture.end_of(&job.id).state, JobState::Done);

    // What fits is left alone.
    let short = studio.submit(&fit(&song())).unwrap();
    assert_eq!(told_of(&fixture.end_of(&short.id), "duration"), None);

    // Memory that is taken while it waits.
    HOST.store(64 << 30, Ordering::Relaxed);
    let keeper = fixture.hold();
    let before = studio.submit(&song()).unwrap();
    keeper.wait();
    let waits = studio.submit(&fit(&long)).unwrap();
    assert_eq!(waits.params.duration_secs, Some(360.0));
    room_for(&song(), &long);
    keeper.open();
    fixture.end_of(&before.id);
    let job = fixture.end_of(&waits.id);
    assert_eq!(
        (job.state, told_of(&job, "duration")),
        (JobState::Done, Some(shown))
    );

    // Takes go before length.
    let many = with(with(song(), "batch_size", 4), "seed", json!([1, 2, 3, 4]));
    room_for(&with(many.clone(), "batch_size", 1), &many);
    let job = fixture.run(&fit(&many));
    let takes = job.params.batch_size;
    assert!(takes < 4 && job.params.duration_secs == Some(10.0));
    assert_eq!(job.song_ids.len(), takes);
    assert_eq!(
        told_of(&job, "batch_size"),
        Some(("4".to_owned(), takes.to_string()))
    );
    assert!(
        codes(&job.notes).contains(&"seed_ignored"),
        "{:?}",
        job.notes
    );

    // Where nothing helps it is refused as ever.
    HOST.store(1 << 30, Ordering::Relaxed);
    let refused = fixture.run(&fit(&long));
    assert_eq!(refused.error.as_ref().unwrap().code, "out_of_memory");
    assert_eq!(told_of(&refused, "duration"), None);
}
