//! The language model as a caller sees it: loaded, exchanged, asked for words, songs after words.

use acestep_domain::{event::EventKind, tier::limits};
use serde_json::json;

use super::*;

fn lms(fixture: &Fixture) -> Vec<String> {
    fixture.script.lock().unwrap().lms.clone()
}

#[test]
fn limits_follow_the_language_model_and_the_main_model_stays_where_it_is() {
    let fixture = ready();
    let studio = &fixture.studio;
    let without = studio.status();
    assert!(!without.lm_loaded && without.lm.is_none());
    assert_eq!(without.limits, Some(limits(GpuTier::Tier4, false)));

    let with = wait_for(studio.initialize_and_wait(with_lm(LM))).unwrap();
    assert!(with.lm_loaded);
    assert_eq!(with.lm.unwrap().name, LM);
    assert_eq!(with.limits, Some(limits(GpuTier::Tier4, true)));
    let off = ServiceConfig {
        init_llm: Some(false),
        ..asking_for(TURBO)
    };
    let off = wait_for(studio.initialize_and_wait(off)).unwrap();
    assert_eq!(off.limits, without.limits);
    assert_eq!(lms(&fixture), ["", LM, ""]);
    assert_eq!(
        fixture.script.lock().unwrap().loaded,
        [TURBO],
        "loaded once"
    );
}

#[test]
fn one_that_is_too_large_for_the_card_needs_consent() {
    let fixture = ready();
    let refused = fixture.studio.initialize(with_lm(LARGE_LM)).unwrap_err();
    let refused = told(refused);
    assert_eq!(refused.code, "lm_over_tier");
    assert_eq!(refused.field.as_deref(), Some("lm_model_path"));
    assert!(refused.message.contains("12 GB"), "{refused}");
    assert!(fixture.studio.status().model.is_some());
    let meant = ServiceConfig {
        lm_over_tier_confirmed: true,
        ..with_lm(LARGE_LM)
    };
    let status = wait_for(fixture.studio.initialize_and_wait(meant)).unwrap();
    assert_eq!(status.lm.unwrap().name, LARGE_LM);
}

#[test]
fn one_that_cannot_load_is_a_note_and_songs_are_made_without_it() {
    let fixture = ready();
    let damage = EngineError::checkpoint("/x/acestep-5Hz-lm-0.6B/model.safetensors", "it is empty");
    fixture
        .script
        .lock()
        .unwrap()
        .lm_loads
        .push_back(Act::Fail(damage));
    let status = wait_for(fixture.studio.initialize_and_wait(with_lm(LM))).unwrap();
    let note = status
        .notes
        .iter()
        .find(|note| note.code == "lm_failed")
        .unwrap();
    assert!(note.message.contains("it is empty"), "{}", note.message);
    assert!(!status.lm_loaded);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn a_load_that_is_taken_back_keeps_the_main_model() {
    let fixture = ready();
    let (gate, keeper) = gate();
    fixture
        .script
        .lock()
        .unwrap()
        .lm_loads
        .push_back(Act::Wait(gate));
    fixture.studio.initialize(with_lm(LM)).unwrap();
    keeper.wait();
    fixture.studio.cancel_initialize();
    keeper.open();
    assert_eq!(fixture.run(&song()).state, JobState::Done);
    let status = fixture.studio.status();
    assert!(!status.lm_loaded);
    assert_eq!(fixture.script.lock().unwrap().loaded, [TURBO]);
    assert!(!status.resolved.unwrap().init_llm);
}

#[test]
fn a_song_carries_what_was_asked_and_what_the_model_wrote() {
    let fixture = ready_with_lm();
    let asked =
        json!({ "caption": "piano", "seed": "4,5", "batch_size": 2, "audio_format": "wav" });
    let job = fixture.run(&asked);
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    assert_eq!(job.plan.as_ref().unwrap().bpm, Some(Bpm(92)));
    assert_eq!(job.params.duration_secs, None, "the length was left open");
    let song = fixture.studio.song(&job.song_ids[1]).unwrap();
    assert_eq!(
        (song.params.bpm, song.params.caption.as_str()),
        (None, "piano")
    );
    assert_eq!((song.seed, song.params.lm_seed), (5, Some(4)));
    assert_eq!(song.plan.unwrap().caption, "A warm piano.");
    assert_eq!(song.audio_codes, "<|audio_code_5|>");
    assert_eq!(song.provenance.lm.as_deref(), Some(LM));
    let script = fixture.script.lock().unwrap();
    let request = script.requests.last().unwrap();
    assert_eq!(request.params.bpm, Some(Bpm(92)));
    assert_eq!(request.params.duration_secs, Some(20.0));
    assert_eq!(request.codes, [[4], [5]]);
}

#[test]
fn what_is_being_written_is_told_and_the_plan_with_it() {
    let fixture = ready_with_lm();
    let job = fixture
        .studio
        .submit(&json!({ "kind": "format", "caption": "piano" }))
        .unwrap();
    assert_eq!(job.kind, JobKind::Format);
    let events = follow(&fixture.studio, &job.id, 0);
    let words = events.iter().find_map(|event| match &event.kind {
        EventKind::Progress(progress) => progress.writing.clone(),
        _ => None,
    });
    let words = words.expect("words");
    assert_eq!(
        (words.field.as_str(), words.text.as_str()),
        ("caption", "A warm")
    );
    assert!(events.iter().any(
        |event| matches!(&event.kind, EventKind::Plan { plan } if plan.caption == "piano, at length")
    ));
    let job = fixture.studio.job(&job.id).unwrap();
    assert_eq!(job.state, JobState::Done);
    assert_eq!(job.plan.unwrap().bpm, Some(Bpm(92)));
    assert_eq!(job.song_ids, [""; 0]);
}

#[test]
fn a_sample_goes_on_to_its_songs_when_asked() {
    let fixture = ready_with_lm();
    let asked = json!({
        "kind": "sample", "caption": "rain", "then_generate": true, "seed": 3,
        "batch_size": 1, "audio_format": "wav"
    });
    let job = fixture.run(&asked);
    let next = fixture.end_of(&job.next_job_id.unwrap());
    assert_eq!(next.state, JobState::Done, "{:?}", next.error);
    assert_eq!(next.kind, JobKind::Generate);
    let song = fixture.studio.song(&next.song_ids[0]).unwrap();
    assert_eq!(song.params.caption, "rain, at length");
    assert_eq!(song.params.lyrics, "[Verse]\nla");
    assert_eq!(
        (song.params.bpm, song.params.duration_secs),
        (Some(Bpm(92)), Some(20.0))
    );
    assert!(!song.params.use_cot_metas, "planned once");
    assert_eq!(song.seed, 3);
}

#[test]
fn songs_of_a_sample_have_the_adapters_that_were_in_use_when_it_was_asked() {
    let fixture = ready_with_lm();
    let keeper = fixture.hold_words();
    fixture.use_lora(Some("harp"));
    let sample = json!({ "kind": "sample", "caption": "rain", "then_generate": true });
    let job = fixture.studio.submit(&sample).unwrap();
    keeper.wait();
    fixture.use_lora(None);
    keeper.open();
    let next = fixture.end_of(&job.id).next_job_id.unwrap();
    let next = fixture.end_of(&next);
    assert_eq!(next.params.loras, Some(vec![LoraUse::new("harp", 1.0)]));
    let uses = fixture.script.lock().unwrap().uses.pop().unwrap();
    assert_eq!(uses, [LoraUse::new("harp", 1.0)]);
}

#[test]
fn a_sample_that_is_cancelled_at_its_end_is_kept_and_no_song_is_made() {
    let fixture = ready_with_lm();
    let (gate, keeper) = gate();
    let mut script = fixture.script.lock().unwrap();
    script.texts.push_back(Act::WaitAfterOne(gate));
    drop(script);
    let sample = json!({ "kind": "sample", "caption": "rain", "then_generate": true });
    let job = fixture.studio.submit(&sample).unwrap();
    keeper.wait();
    fixture.studio.cancel(&job.id).unwrap();
    keeper.open();
    let ended = fixture.end_of(&job.id);
    assert!(ended.plan.is_some() && ended.next_job_id.is_none());
    assert_eq!(codes(&ended.notes), [""; 0]);
    assert_eq!(fixture.studio.jobs(9).unwrap().len(), 1);
}

#[test]
fn formatted_texts_go_on_to_their_songs_when_asked() {
    let fixture = ready_with_lm();
    let asked = json!({
        "kind": "format", "caption": "piano", "lyrics": "la la", "then_generate": true, "seed": 3,
        "batch_size": 1, "audio_format": "wav"
    });
    let job = fixture.run(&asked);
    let next = fixture.end_of(&job.next_job_id.unwrap());
    assert_eq!((next.state, next.kind), (JobState::Done, JobKind::Generate));
    let song = fixture.studio.song(&next.song_ids[0]).unwrap();
    assert_eq!(song.params.caption, "piano, at length");
    assert_eq!((song.params.bpm, song.seed), (Some(Bpm(92)), 3));
    assert!(!song.params.use_cot_metas, "planned once");
    let tally = fixture.studio.tally().unwrap();
    assert_eq!((tally.total(), tally.of(&[JobState::Done])), (2, 2));
}

#[test]
fn a_sample_whose_songs_find_no_place_is_kept() {
    let fixture = ready_with_lm();
    let keeper = fixture.hold_words();
    let sample = json!({ "kind": "sample", "caption": "rain", "then_generate": true });
    let job = fixture.studio.submit(&sample).unwrap();
    keeper.wait();
    for _ in 0..2 {
        fixture.studio.submit(&song()).unwrap();
    }
    keeper.open();
    let job = fixture.end_of(&job.id);
    assert_eq!(job.state, JobState::Done);
    assert_eq!(job.next_job_id, None);
    assert!(job.plan.is_some());
    assert!(
        codes(&job.notes).contains(&"not_generated"),
        "{:?}",
        job.notes
    );
}

#[test]
fn a_song_of_the_library_is_listened_to() {
    let fixture = ready_with_lm();
    let plain =
        json!({ "caption": "x", "thinking": false, "batch_size": 1, "audio_format": "wav" });
    let id = fixture.run(&plain).song_ids[0].clone();
    let job = fixture.run(&json!({ "kind": "understand", "song_id": id }));
    assert_eq!(job.source_song_id.as_deref(), Some(id.as_str()));
    assert_eq!(job.audio_codes, "<|audio_code_7|>");
    assert!(job.plan.is_some());
    let job = fixture.run(&json!({ "kind": "encode", "song_id": id }));
    assert_eq!(
        (job.plan, job.audio_codes.as_str()),
        (None, "<|audio_code_7|>")
    );
}

#[test]
fn of_codes_and_a_recording_given_together_the_one_that_is_used_is_named() {
    let fixture = ready_with_lm();
    let make = |thinking: bool| {
        let made = fixture.run(&with(song(), "thinking", thinking));
        made.song_ids[0].clone()
    };
    for (id, code, field) in [
        (make(true), "audio_codes_replaced", "audio_codes"),
        (make(false), "recording_unused", "song_id"),
    ] {
        let asked = json!({
            "kind": "understand", "song_id": id, "audio_codes": "<|audio_code_3|>"
        });
        let job = fixture.studio.submit(&asked).unwrap();
        let note = job.notes.iter().find(|note| note.code == code);
        let note = note.unwrap_or_else(|| panic!("{:?}", job.notes));
        assert_eq!(note.field.as_deref(), Some(field));
        assert!(note.message.contains("warm lofi piano"), "{note:?}");
        fixture.end_of(&job.id);
    }
}

#[test]
fn cancel_stops_the_writing_and_the_studio_goes_on() {
    let fixture = ready_with_lm();
    let keeper = fixture.hold_words();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    fixture.studio.cancel(&job.id).unwrap();
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Cancelled);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn wrong_errands_are_refused_before_a_job_exists() {
    let fixture = ready();
    let refusal = |request: serde_json::Value| {
        let error = told(fixture.studio.submit(&request).unwrap_err());
        (error.code, error.field.unwrap_or_default())
    };
    let pair = |code: &str, field: &str| (code.to_owned(), field.to_owned());
    for kind in ["format", "sample", "understand"] {
        assert_eq!(refusal(json!({ "kind": kind })), pair("not_ready", "kind"));
    }
    assert_eq!(
        refusal(json!({ "kind": "remix" })),
        pair("invalid_value", "kind")
    );
    assert_eq!(
        refusal(json!({ "kind": "encode" })),
        pair("invalid_value", "song_id")
    );
    assert_eq!(
        refusal(json!({ "kind": "encode", "song_id": 5 })),
        pair("invalid_value", "song_id")
    );
    assert_eq!(
        refusal(json!({ "kind": "encode", "song_id": "none" })).0,
        "not_found"
    );
    assert_eq!(
        refusal(json!({ "caption": "x", "then_generate": "maybe" })),
        pair("invalid_value", "then_generate")
    );
    assert_eq!(
        refusal(json!({ "caption": "x", "audio_codes": "<|audio_code_70000|>" })),
        pair("invalid_value", "audio_codes")
    );
    assert_eq!(fixture.studio.jobs(9).unwrap(), []);
}

#[test]
fn words_without_room_are_refused_when_they_are_sent_and_the_longer_part_is_named() {
    let fixture = ready_with_lm();
    let refused = |params: &Value| told(fixture.studio.submit(params).unwrap_err());
    let caption = refused(&with(song(), "caption", "word ".repeat(9000)));
    assert_eq!(caption.field.as_deref(), Some("caption"));
    assert!(
        caption.message.contains("at least 9000 tokens"),
        "{caption}"
    );
    let lyrics = refused(&with(song(), "lyrics", "la ".repeat(9000)));
    assert_eq!(lyrics.field.as_deref(), Some("lyrics"));
    assert!(fixture.studio.jobs(9).unwrap().is_empty());
    // Without a language model the words are cut with a note, as ever.
    let fixture = ready();
    let long = with(song(), "caption", "word ".repeat(9000));
    assert_eq!(fixture.run(&long).state, JobState::Done);
}

#[test]
fn understanding_is_refused_when_it_is_sent_to_a_language_model_without_codes() {
    let fixture = fixture();
    fixture.script.lock().unwrap().no_codes = true;
    wait_for(fixture.studio.initialize_and_wait(with_lm(LM))).unwrap();
    let made = fixture.run(&song());
    let asked = json!({ "kind": "understand", "song_id": made.song_ids[0] });
    let refused = told(fixture.studio.submit(&asked).unwrap_err());
    assert_eq!(refused.field.as_deref(), Some("kind"));
    assert!(refused.message.contains("no audio codes"), "{refused}");
    let words = json!({ "kind": "format", "caption": "warm piano" });
    assert_eq!(fixture.run(&words).state, JobState::Done);
}
