use super::*;
use crate::generation::clamp::{clamp, clamp_with_source};

fn bounds(family: Family) -> Bounds {
    Bounds {
        tier: GpuTier::Tier4,
        lm_loaded: false,
        family,
        unlimited: false,
    }
}

fn params(task_type: TaskType) -> GenerationParams {
    GenerationParams {
        task_type,
        caption: "x".into(),
        src_audio: Some("id".into()),
        track_name: Some("drums".into()),
        complete_track_classes: vec!["bass".into()],
        batch_size: 1,
        ..GenerationParams::default()
    }
}

#[test]
fn what_a_task_lacks_is_named_by_its_key() {
    for (task, field) in [
        (TaskType::Cover, "src_audio"),
        (TaskType::Repaint, "src_audio"),
        (TaskType::Lego, "src_audio"),
        (TaskType::Extract, "src_audio"),
        (TaskType::Complete, "src_audio"),
        (TaskType::Lego, "track_name"),
        (TaskType::Extract, "track_name"),
        (TaskType::Complete, "complete_track_classes"),
    ] {
        let mut asked = params(task);
        assert!(check(&asked, Family::Base).is_ok());
        match field {
            "src_audio" => asked.src_audio = None,
            "track_name" => asked.track_name = None,
            _ => asked.complete_track_classes.clear(),
        }
        let refused = check(&asked, Family::Base).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some(field), "{task:?}");
    }
    // Codes stand in for the source of a cover.
    let codes = GenerationParams {
        src_audio: None,
        audio_codes: "1,2".into(),
        ..params(TaskType::Cover)
    };
    assert!(check(&codes, Family::Turbo).is_ok());
}

#[test]
fn a_task_without_anything_names_all_it_lacks_whatever_the_family() {
    for (task, lacks) in [
        (TaskType::Text2music, &[][..]),
        (TaskType::Cover, &["src_audio"]),
        (TaskType::Repaint, &["src_audio"]),
        (TaskType::Lego, &["src_audio", "track_name"]),
        (TaskType::Extract, &["src_audio", "track_name"]),
        (TaskType::Complete, &["src_audio", "complete_track_classes"]),
    ] {
        let asked = GenerationParams {
            task_type: task,
            ..GenerationParams::default()
        };
        let keys = |errors: Vec<UserError>| -> Vec<String> {
            errors.into_iter().filter_map(|error| error.field).collect()
        };
        assert_eq!(keys(missing(&asked)), lacks, "{task:?}");
        for family in [Family::Turbo, Family::Base] {
            let refused = check(&asked, family).err().and_then(|error| error.field);
            let expected = if family.reason_against(task).is_some() {
                Some("task_type")
            } else {
                lacks.first().copied()
            };
            assert_eq!(refused.as_deref(), expected, "{task:?} {family:?}");
        }
    }
}

#[test]
fn a_turbo_model_says_why_it_makes_no_tracks() {
    for task in [TaskType::Lego, TaskType::Extract, TaskType::Complete] {
        let refused = clamp(params(task), bounds(Family::Turbo)).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("task_type"));
        assert_eq!(refused.code, "unsupported");
        assert!(refused.message.contains("turbo"), "{}", refused.message);
    }
}

#[test]
fn the_source_decides_the_length_and_is_never_cut() {
    let open =
        clamp_with_source(params(TaskType::Cover), bounds(Family::Base), Some(12.345)).unwrap();
    assert_eq!(open.params.duration_secs, Some(12.345));
    assert!(
        !open
            .notes
            .iter()
            .any(|note| note.code.starts_with("duration"))
    );
    // Settled a second time, as when the job's turn comes.
    let again = clamp_with_source(open.params, bounds(Family::Base), Some(12.345)).unwrap();
    assert!(
        !again
            .notes
            .iter()
            .any(|note| note.code.starts_with("duration"))
    );

    let asked = GenerationParams {
        duration_secs: Some(30.0),
        ..params(TaskType::Extract)
    };
    let told = clamp_with_source(asked, bounds(Family::Base), Some(12.0)).unwrap();
    assert_eq!(told.params.duration_secs, Some(12.0));
    assert!(
        told.notes
            .iter()
            .any(|note| note.code == "duration_by_source")
    );

    let long = clamp_with_source(params(TaskType::Cover), bounds(Family::Base), Some(361.0));
    assert_eq!(long.unwrap_err().field.as_deref(), Some("src_audio"));
    let extended = GenerationParams {
        repainting_start: 350.0,
        repainting_end: Some(365.0),
        ..params(TaskType::Repaint)
    };
    let refused = clamp_with_source(extended, bounds(Family::Base), Some(355.0)).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("repainting_end"));
}

#[test]
fn what_has_no_part_in_the_task_is_noted() {
    let everything = |task| GenerationParams {
        repainting_start: 1.0,
        repainting_end: Some(2.0),
        repaint_mode: RepaintMode::Conservative,
        repaint_strength: 0.2,
        audio_cover_strength: 0.5,
        cover_noise_strength: 0.5,
        ..params(task)
    };
    let ignored = |task| -> Vec<String> {
        idle(&everything(task))
            .into_iter()
            .filter_map(|note| note.field)
            .collect()
    };
    assert_eq!(
        ignored(TaskType::Text2music),
        [
            "src_audio",
            "repainting_start",
            "repainting_end",
            "repaint_mode",
            "repaint_strength",
            "audio_cover_strength",
            "cover_noise_strength",
            "track_name",
            "complete_track_classes"
        ]
    );
    assert_eq!(
        ignored(TaskType::Repaint),
        [
            "repaint_strength",
            "audio_cover_strength",
            "cover_noise_strength",
            "track_name",
            "complete_track_classes"
        ]
    );
    assert_eq!(
        ignored(TaskType::Complete),
        [
            "repainting_start",
            "repainting_end",
            "repaint_mode",
            "repaint_strength",
            "cover_noise_strength",
            "track_name"
        ]
    );
    assert_eq!(idle(&GenerationParams::default()), []);
    let codes = GenerationParams {
        audio_codes: "5".into(),
        ..params(TaskType::Repaint)
    };
    assert!(
        idle(&codes)
            .iter()
            .any(|note| note.code == "audio_codes_ignored")
    );
}

#[test]
fn thinking_beside_given_codes_is_told() {
    let mut params = GenerationParams {
        thinking: true,
        ..GenerationParams::default()
    };
    assert_eq!(idle_thinking(&params), None);
    params.audio_codes = "<|audio_code_7|>".to_owned();
    let note = idle_thinking(&params).unwrap();
    assert_eq!(
        (note.code.as_str(), note.figure("why")),
        ("thinking_ignored", Some("codes"))
    );
    params.thinking = false;
    assert_eq!(idle_thinking(&params), None);
}
