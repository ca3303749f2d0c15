//! A run whose values leave the range of half precision.

use acestep_domain::service::ServiceState;

use super::*;
use crate::backend::{Free, Memory, Models};

fn lost() -> Act {
    Act::Fail(EngineError::NotFinite {
        stage: Stage::Diffusion,
        module: "DiT",
    })
}

fn no_room() -> Act {
    Act::Fail(EngineError::OutOfMemory {
        stage: Stage::Load,
        needed: None,
        free: None,
    })
}

/// With the turbo model loaded on a card.
fn on_card() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let script = Arc::new(Mutex::new(Script::default()));
    let mut options = options(folder.path());
    options.capabilities.device = DeviceKind::Cuda;
    options.capabilities.devices = vec![DeviceKind::Cpu, DeviceKind::Cuda];
    let backend = Box::new(Scripted(Arc::clone(&script)));
    let studio = Studio::open_with(options, backend, Box::new(|_| found())).unwrap();
    load(&studio, TURBO).unwrap();
    assert_eq!(precision(&studio), ("bf16".to_owned(), false));
    Fixture {
        studio,
        script,
        folder,
    }
}

/// What is loaded, and what was asked for it.
fn precision(studio: &Studio) -> (String, bool) {
    let status = studio.status();
    assert_eq!(status.state, ServiceState::Ready, "{:?}", status.error);
    let resolved = status.resolved.unwrap();
    (status.model.unwrap().dtype, resolved.full_precision)
}

#[test]
fn it_is_made_in_f32_and_the_service_says_what_is_loaded_now() {
    let fixture = on_card();
    fixture.play([lost()]);
    fixture.use_lora(Some("harp"));
    let job = fixture.run(&with(song(), "batch_size", 2));
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    assert_eq!(job.song_ids.len(), 2);
    assert_eq!(codes(&job.notes), ["made_in_full_precision", "lyrics_cut"]);
    let song = fixture.studio.song(&job.song_ids[0]).unwrap();
    assert_eq!(song.provenance.quantization, "f32");
    assert_eq!(precision(&fixture.studio), ("f32".to_owned(), true));
    {
        let script = fixture.script.lock().unwrap();
        assert_eq!(script.loaded, [TURBO, TURBO]);
        let seeds: Vec<_> = script.requests.iter().map(|asked| &asked.seeds).collect();
        assert_eq!(seeds, [&job.seeds, &job.seeds]);
        let harp = vec![LoraUse::new("harp", 1.0)];
        assert_eq!(
            script.uses,
            [harp.clone(), harp],
            "they went with the model"
        );
    }
    // It stays so: the next one is made at once, and what is lost in f32 is lost.
    fixture.use_lora(None);
    let next = fixture.run(&self::song());
    assert_eq!(codes(&next.notes), ["lyrics_cut"]);
    fixture.play([lost()]);
    let failed = fixture.run(&self::song());
    assert_eq!(failed.error.unwrap().code, "not_finite");
    assert_eq!(fixture.script.lock().unwrap().loaded.len(), 2);
}

#[test]
fn where_f32_cannot_be_loaded_the_models_come_back_as_they_were() {
    let fixture = on_card();
    let notes = fixture.studio.status().notes;
    fixture.play([lost()]);
    fixture.script.lock().unwrap().loads.push_back(no_room());
    let failed = fixture.run(&song());
    assert_eq!(failed.state, JobState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error.code, "out_of_memory");
    assert!(
        error.message.contains("could not be loaded in f32")
            && error.message.contains("the loading stage"),
        "{error}"
    );
    assert_eq!(precision(&fixture.studio), ("bf16".to_owned(), false));
    assert_eq!(fixture.studio.status().notes, notes);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn a_run_that_is_cancelled_while_f32_is_loaded_leaves_the_models_as_they_were() {
    let fixture = on_card();
    fixture.play([lost()]);
    let (gate, keeper) = gate();
    let mut script = fixture.script.lock().unwrap();
    script.loads.push_back(Act::Wait(gate));
    drop(script);
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let status = fixture.studio.status();
    assert_eq!(status.state, ServiceState::Loading);
    assert!(status.resolved.unwrap().full_precision);
    let busy = fixture.studio.initialize(asking_for(BASE)).unwrap_err();
    assert_eq!(told(busy).code, "conflict");
    fixture.studio.cancel(&job.id).unwrap();
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Cancelled);
    assert_eq!(precision(&fixture.studio), ("bf16".to_owned(), false));
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn where_nothing_can_be_loaded_any_more_the_service_says_so_and_can_be_asked_again() {
    let fixture = on_card();
    fixture.play([lost()]);
    let mut script = fixture.script.lock().unwrap();
    script.loads.extend([no_room(), no_room()]);
    drop(script);
    assert_eq!(fixture.run(&song()).state, JobState::Failed);
    let status = fixture.studio.status();
    assert_eq!((status.state, status.model), (ServiceState::Failed, None));
    assert_eq!(status.error.unwrap().code, "out_of_memory");
    load(&fixture.studio, TURBO).unwrap();
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn nothing_is_loaded_where_f32_is_no_help_or_has_no_room() {
    let fixture = ready();
    fixture.play([lost()]);
    let failed = fixture.run(&song());
    assert_eq!(
        failed.error.unwrap().code,
        "not_finite",
        "it was f32 already"
    );
    assert_eq!(fixture.script.lock().unwrap().loaded, [TURBO]);

    let fixture = on_card();
    fixture.script.lock().unwrap().memory_in_f32 = Some(Memory {
        models: Models::released(TURBO),
        options: acestep_engine::engine::LoadOptions::default(),
        free: |_| Free {
            host: 1 << 30,
            device: 0,
            others: 0,
            largest_others: |_| Vec::new(),
            threads: 2,
        },
    });
    fixture.play([lost()]);
    let failed = fixture.run(&song());
    assert_eq!(failed.error.unwrap().code, "not_finite");
    assert_eq!(precision(&fixture.studio), ("bf16".to_owned(), false));
    assert_eq!(fixture.script.lock().unwrap().loaded, [TURBO]);
}
