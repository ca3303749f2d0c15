use serde_json::json;

use super::*;

#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as the call it stands for"
)]
fn read(value: Value) -> Read {
    params_from_json(&value, GenerationParams::default()).unwrap()
}

#[test]
fn every_spelling_of_auto_duration() {
    for value in [
        json!(-1),
        json!(0),
        json!(null),
        json!("auto"),
        json!(-1.0),
        json!("N/A"),
        json!(""),
    ] {
        let read = read(json!({ "duration": value }));
        assert_eq!(
            (read.params.duration_secs, read.errors.len()),
            (None, 0),
            "{value}"
        );
    }
    assert_eq!(read(json!({})).params.duration_secs, None);
    assert_eq!(
        read(json!({ "duration": "12.5" })).params.duration_secs,
        Some(12.5)
    );
}

#[test]
fn not_a_number_and_infinity_are_refused() {
    for value in ["NaN", "inf", "-inf", "Infinity"] {
        let refused = read(json!({ "duration": value, "caption": "kept" }));
        assert_eq!(refused.errors[0].field.as_deref(), Some("duration"));
        assert_eq!(refused.params.caption, "kept");
        assert!(refused.strict().is_err());
        assert!(read(json!({ "shift": value })).strict().is_err());
    }
}

#[test]
fn an_old_file_loads_whole() {
    // As written by the original program: its keys, its spellings of "unset".
    let old = serde_json::from_str(r#"{
        "task_type": "text2music", "instruction": "Fill the audio semantic mask based on the given conditions:",
        "reference_audio": null, "src_audio": null, "audio_codes": "", "caption": "warm lofi",
        "lyrics": "[Verse]\nla", "instrumental": false, "vocal_language": "en", "bpm": 92,
        "keyscale": "B♭ minor", "timesignature": "4/4", "duration": 45.0, "inference_steps": 8,
        "seed": 1234, "guidance_scale": 7.0, "use_adg": false, "cfg_interval_start": 0.0,
        "cfg_interval_end": 1.0, "shift": 1.0, "infer_method": "ode", "timesteps": null,
        "repainting_start": 0.0, "repainting_end": -1, "audio_cover_strength": 1.0, "thinking": true,
        "lm_temperature": 0.85, "lm_cfg_scale": 2.0, "lm_top_k": 0, "lm_top_p": 0.9,
        "lm_negative_prompt": "NO USER INPUT", "use_cot_metas": true, "use_cot_caption": true,
        "use_cot_lyrics": false, "use_cot_language": true, "use_constrained_decoding": true,
        "cot_bpm": null, "cot_keyscale": "", "cot_timesignature": "", "cot_duration": null,
        "cot_vocal_language": "unknown", "cot_caption": "", "cot_lyrics": ""
}"#)
    .unwrap();
    let read = read(old);
    assert_eq!((read.notes, read.errors), (vec![], vec![]));
    let params = read.params;
    assert_eq!(params.keyscale.unwrap().to_string(), "Bb minor");
    assert_eq!(params.timesignature.unwrap().beats(), 4);
    assert_eq!(
        (params.bpm.unwrap().0, params.seeds.clone(), params.shift),
        (92, vec![1234], 1.0)
    );
    assert_eq!(params.duration_secs, Some(45.0));
    assert_eq!(params.repainting_end, None);
}

#[test]
fn ours_goes_out_in_the_old_spellings_and_comes_back_equal() {
    let params = GenerationParams {
        caption: "x".into(),
        seeds: vec![1, 2],
        timesteps: Some(vec![1.0, 0.5]),
        ..GenerationParams::default()
    };
    let json = serde_json::to_value(&params).unwrap();
    assert_eq!(json["duration"], json!(-1.0));
    assert_eq!(
        (&json["keyscale"], &json["bpm"], &json["seed"]),
        (&json!(""), &json!(null), &json!("1,2"))
    );
    assert_eq!(
        serde_json::from_value::<GenerationParams>(json.clone()).unwrap(),
        params
    );
    let read = read(json);
    assert_eq!(
        (read.params, read.notes, read.errors),
        (params, vec![], vec![])
    );
}

#[test]
fn unknown_and_ineffective_fields_are_named() {
    let read =
        read(json!({ "captoin": "typo", "cot_caption": "by the model", "studio": { "x": 1 } }));
    let codes: Vec<_> = read
        .notes
        .iter()
        .map(|note| (note.code.as_str(), note.field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [
            ("unknown_field", "captoin"),
            ("field_ignored", "cot_caption")
        ]
    );
}

#[test]
fn api_spellings() {
    let read = read(json!({
        "prompt": "p", "audio_duration": 9, "key_scale": "Am", "time_signature": "3/4",
        "think": false, "language": "German", "bpm": "120 BPM", "constrained": false
    }));
    assert_eq!((read.notes.len(), read.errors.len()), (0, 0));
    let params = read.params;
    assert_eq!(params.caption, "p");
    assert_eq!(params.vocal_language.code(), "de");
    assert_eq!(
        (params.bpm.unwrap().0, params.thinking, params.duration_secs),
        (120, false, Some(9.0))
    );
    assert!(!params.use_constrained_decoding);
}

#[test]
fn seeds_in_every_form() {
    for (value, seeds) in [
        (json!(-1), vec![]),
        (json!("-1"), vec![]),
        (json!(7), vec![7]),
        (json!("1, 2,3"), vec![1, 2, 3]),
        (json!([4, "5"]), vec![4, 5]),
        (json!([4, -1]), vec![4]),
        (json!("4,"), vec![4]),
        (json!("4 5;6"), vec![4, 5, 6]),
        (json!(4_294_967_295_u64), vec![u32::MAX]),
        (json!(null), vec![]),
    ] {
        assert_eq!(seeds_from_json(&value).unwrap(), seeds, "{value}");
    }
    for junk in [
        json!("abc"),
        json!(-2),
        json!(1.5),
        json!(4_294_967_296_u64),
        json!({}),
        json!([-1, 4]),
    ] {
        assert!(seeds_from_json(&junk).is_err(), "{junk}");
    }
}

#[test]
fn the_seed_of_the_plan_is_one_number_or_the_first_songs() {
    for (value, expected) in [
        (json!(7), Some(7)),
        (json!("4294967295"), Some(u32::MAX)),
        (json!(-1), None),
        (json!(""), None),
        (json!(null), None),
    ] {
        assert_eq!(read(json!({ "lm_seed": value })).params.lm_seed, expected);
    }
    for wrong in [json!([1, 2]), json!(1.5), json!("one"), json!(-2)] {
        let wrong = read(json!({ "lm_seed": wrong })).strict().unwrap_err();
        assert_eq!(wrong.field.as_deref(), Some("lm_seed"));
    }
    let run = GenerationParams {
        seeds: vec![7, 8],
        ..GenerationParams::default()
    };
    assert_eq!(run.plan_seed(&[7, 8]), 7);
    let of = |seed, planned| run.of_song(seed, &[7, 8], planned);
    assert_eq!((of(8, true).seeds, of(8, true).lm_seed), (vec![8], Some(7)));
    assert_eq!(of(7, true).lm_seed, None, "its own seed is the plan's");
    assert_eq!(of(8, false).lm_seed, None, "nothing was planned");
}

#[test]
fn only_minus_one_is_the_end_of_the_source() {
    let end = |value: Value| read(json!({ "repainting_end": value }));
    for open in [json!(-1), json!("-1"), json!(null), json!("")] {
        assert_eq!(end(open).params.repainting_end, None);
    }
    assert_eq!(end(json!(0)).params.repainting_end, Some(0.0));
    let before = end(json!(-2)).strict().unwrap_err();
    assert_eq!(before.field.as_deref(), Some("repainting_end"));
    assert!(before.hint.contains("-1"), "{before}");
}

#[test]
fn wrong_kinds_name_their_field() {
    for (key, value) in [
        ("caption", json!(3)),
        ("batch_size", json!(0)),
        ("batch_size", json!(1.5)),
        ("inference_steps", json!("many")),
        ("audio_format", json!("ogg")),
        ("task_type", json!("sing")),
        ("infer_method", json!("heun")),
        ("timesteps", json!([1.3])),
        ("timesteps", json!([0.1, 0.5])),
        ("use_random_seed", json!("perhaps")),
        ("timesteps", json!("1, 0, 0.5")),
        ("instrumental", json!("maybe")),
        ("keyscale", json!("H minor")),
        ("vocal_language", json!("xx")),
        ("duration", json!(-5)),
        ("bpm", json!([1])),
    ] {
        let mut object = Map::new();
        object.insert(key.into(), value.clone());
        let read = read(Value::Object(object));
        assert_eq!(read.errors.len(), 1, "{key} {value}");
        assert_eq!(read.errors[0].field.as_deref(), Some(key));
        assert!(!read.errors[0].hint.is_empty());
    }
    assert!(params_from_json(&json!([1]), GenerationParams::default()).is_err());
}

#[test]
fn of_two_spellings_one_is_used_and_the_other_told() {
    let read = read(json!({ "audio_duration": 9, "duration_secs": 7 }));
    assert_eq!(read.params.duration_secs, Some(9.0));
    let note = &read.notes[0];
    assert_eq!(
        (note.code.as_str(), note.field.as_deref()),
        ("field_ignored", Some("duration_secs"))
    );
    assert!(note.message.contains("audio_duration"), "{}", note.message);
}

#[test]
fn a_random_seed_is_asked_for_as_any_switch_is() {
    for on in [json!(true), json!("true"), json!(1), json!("on")] {
        let read = read(json!({ "seed": 5, "use_random_seed": on }));
        assert!(read.params.seeds.is_empty());
        assert_eq!(read.notes[0].code, "seed_ignored");
    }
    let read = read(json!({ "seed": 5, "use_random_seed": "false" }));
    assert_eq!((read.params.seeds, read.notes), (vec![5], vec![]));
}

#[test]
fn own_timesteps_lose_only_trailing_zeros() {
    assert_eq!(
        read(json!({ "timesteps": "1, 0.5, 0" })).params.timesteps,
        Some(vec![1.0, 0.5])
    );
    assert_eq!(
        read(json!({ "timesteps": "[0.97, 0.76]" }))
            .params
            .timesteps,
        Some(vec![0.97, 0.76])
    );
    assert_eq!(read(json!({ "timesteps": [] })).params.timesteps, None);
    assert_eq!(read(json!({ "timesteps": "" })).params.timesteps, None);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(key in "[a-z_]{1,24}", text in ".*") {
        let mut object = Map::new();
        object.insert(key, Value::String(text.clone()));
        for spec in crate::param::SPECS {
            object.insert(spec.key.to_owned(), Value::String(text.clone()));
        }
        let _ = params_from_json(&Value::Object(object), GenerationParams::default());
    }
}

#[test]
fn a_gap_between_seeds_does_not_move_those_behind_it() {
    for list in ["1,,2", "1, ,2", ",2", "-1, 2"] {
        let refused = read(json!({ "seed": list })).errors;
        assert!(
            refused[0].message.contains("follows a random one"),
            "{list}"
        );
    }
}

#[test]
fn what_could_not_be_read_is_told_with_what_was_given() {
    let error = |key: &str, value: &str| read(json!({ key: value })).errors.remove(0);
    let length = error("duration", "1:75");
    assert_eq!(length.figure("given"), Some("1:75"));
    assert!(length.hint.contains("seconds, 0.1 to 600"), "{length}");
    assert!(!error("shift", "inf").to_string().contains("finite"));
}

#[test]
fn own_timesteps_that_cannot_be_used_say_which_value_and_why() {
    for (text, why, place) in [
        ("1, 0.5, 1.3", "part", "3"),
        ("abc", "part", "1"),
        ("0.5, 0.7", "rises", "2"),
    ] {
        let note = timesteps_unread(&json!(text)).unwrap();
        assert_eq!(
            (note.figure("why"), note.figure("place")),
            (Some(why), Some(place)),
            "{text}"
        );
        assert!(!read(json!({ "timesteps": text })).errors.is_empty());
    }
    for usable in ["", "1, 0.5, 0", "auto"] {
        assert_eq!(timesteps_unread(&json!(usable)), None, "{usable}");
    }
}

#[test]
fn what_is_dropped_is_told() {
    let base = GenerationParams::default();
    let codes = |value: Value| -> Vec<String> {
        let read = params_from_json(&value, base.clone()).unwrap();
        assert_eq!(read.errors, []);
        let notes = read.notes.iter();
        notes
            .map(|note| format!("{} {}", note.code, note.field.as_deref().unwrap_or("")))
            .collect()
    };
    for (value, expected) in [
        (
            json!({ "timesteps": [0] }),
            &["timesteps_empty timesteps"][..],
        ),
        (
            json!({ "timesteps": "0, 0" }),
            &["timesteps_empty timesteps"],
        ),
        (json!({ "timesteps": [] }), &[]),
        (json!({ "timesteps": "auto" }), &[]),
        (
            json!({ "timesteps": [1, 0.5], "steps": 20, "shift": 2.5 }),
            &[
                "inference_steps_ignored inference_steps",
                "shift_ignored shift",
            ],
        ),
        (json!({ "timesteps": [1, 0.5], "steps": 2 }), &[]),
        (
            json!({ "timesteps": [1, 0.5], "steps": base.inference_steps, "shift": base.shift }),
            &[],
        ),
        (
            json!({ "instruction": "Sing louder" }),
            &["field_ignored instruction"],
        ),
        (
            json!({ "instruction": "Generate the DRUMS track based on the audio context:", "track_name": "drums" }),
            &[],
        ),
        (json!({ "bpm": 92.6 }), &["bpm_rounded bpm"]),
        (json!({ "bpm": "92.5" }), &["bpm_rounded bpm"]),
        (json!({ "bpm": "92.0" }), &[]),
        (
            json!({ "complete_track_classes": ["drums", "bass", "Drums", "drums"] }),
            &["tracks_repeated complete_track_classes"],
        ),
    ] {
        assert_eq!(codes(value.clone()), expected, "{value}");
    }
    let tracks = json!({ "complete_track_classes": "drums, bass, drums" });
    let read = params_from_json(&tracks, base.clone()).unwrap();
    assert_eq!(read.params.complete_track_classes, ["drums", "bass"]);
}
