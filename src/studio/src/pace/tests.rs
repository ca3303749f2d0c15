use super::*;

fn amount() -> Amount {
    Amount {
        batch: 2.0,
        song_secs: 30.0,
        steps: 8.0,
        ..Amount::NOTHING
    }
}

#[test]
fn a_base_model_without_guidance_takes_half_as_long() {
    let mut rates = Rates::default();
    let amount = |guidance_scale, family| {
        let params = GenerationParams {
            guidance_scale,
            duration_secs: Some(30.0),
            ..GenerationParams::default()
        };
        Amount::beside(&params, family, None)
    };
    let measured = Measured {
        diffusion_secs: 80.0,
        ..Measured::default()
    };
    rates.learn(amount(7.0, Family::Base), measured);
    let secs = |amount| rates.time(amount).unwrap().stages[&Stage::Diffusion];
    assert!((secs(amount(7.0, Family::Base)) - 80.0).abs() < 1e-9);
    assert!((secs(amount(1.0, Family::Base)) - 40.0).abs() < 1e-9);
    // Nothing guides a turbo model.
    assert!((secs(amount(1.0, Family::Turbo)) - 80.0).abs() < 1e-9);
}

#[test]
fn words_have_a_pace_of_their_own_and_leave_that_of_plans() {
    let mut rates = Rates::default();
    let of = |secs| Measured {
        plan_secs: secs,
        ..Measured::default()
    };
    let songs = Amount {
        plans: 1.0,
        ..Amount::NOTHING
    };
    rates.learn(songs, of(4.0));
    let total = |rates: &Rates, amount| rates.time(amount).map(|time| time.total);
    assert_eq!(
        total(&rates, Amount::of_text()),
        Some(4.0),
        "until it is known"
    );
    rates.learn(Amount::of_text(), of(60.0));
    assert_eq!(total(&rates, Amount::of_text()), Some(60.0));
    assert_eq!(total(&rates, songs), Some(4.0));
}

#[test]
fn a_cover_that_starts_from_its_source_takes_fewer_steps() {
    let mut params = GenerationParams {
        task_type: TaskType::Cover,
        src_audio: Some("id".to_owned()),
        inference_steps: 4,
        shift: 1.0,
        cover_noise_strength: 0.5,
        ..GenerationParams::default()
    };
    assert_eq!(steps_of(&params), 2);
    params.task_type = TaskType::Repaint;
    assert_eq!(steps_of(&params), 4);
}

#[test]
fn the_fraction_rises_from_nothing_to_all_over_a_batch() {
    let mut pace = Pace::new(Rates::default(), amount());
    let mut before = -1.0;
    let course = [
        (Stage::Prepare, 0, (0, 1)),
        (Stage::Prepare, 0, (1, 1)),
        (Stage::Diffusion, 0, (4, 8)),
        (Stage::Diffusion, 0, (8, 8)),
        (Stage::Diffusion, 1, (4, 8)),
        (Stage::Diffusion, 1, (8, 8)),
        (Stage::Decode, 0, (1, 2)),
        (Stage::Decode, 0, (2, 2)),
        (Stage::Save, 0, (1, 1)),
        (Stage::Decode, 1, (1, 2)),
        (Stage::Decode, 1, (2, 2)),
        (Stage::Save, 1, (1, 1)),
    ];
    for (stage, item, of) in course {
        let now = pace.progress(stage, item, of, 1.0).fraction;
        assert!(now > before, "{stage} {item} {of:?}: {now} after {before}");
        before = now;
    }
    assert!((before - 1.0).abs() < 1e-6);
}

#[test]
fn time_left_follows_what_was_measured() {
    let mut rates = Rates::default();
    let mut first = Pace::new(rates, amount());
    assert_eq!(
        first.progress(Stage::Prepare, 0, (0, 1), 0.0).eta_secs,
        None,
        "a first guess is not told"
    );
    rates.learn(
        amount(),
        Measured {
            plan_secs: 0.0,
            codes_secs: 0.0,
            prepare_secs: 2.0,
            diffusion_secs: 80.0,
            decode_secs: 16.0,
            save_secs: 2.0,
        },
    );
    let mut next = Pace::new(rates, amount());
    let at_start = next.progress(Stage::Prepare, 0, (0, 1), 0.0).eta_secs;
    assert_eq!(at_start, Some(100.0));
    // Half of the work took twice the time it took before.
    let halfway = next.progress(Stage::Diffusion, 1, (2, 10), 100.0).eta_secs;
    assert!((halfway.unwrap() - 100.0).abs() < 0.01, "{halfway:?}");
}

#[test]
fn a_report_without_units_does_no_harm() {
    let mut pace = Pace::new(Rates::default(), amount());
    assert_eq!(pace.progress(Stage::Diffusion, 0, (0, 0), 0.0).total, 0);
    let over = pace.progress(Stage::Decode, 9, (5, 2), 0.0).fraction;
    assert!(over <= 1.0, "{over}");
}

#[test]
fn a_plan_of_unknown_length_moves_the_bar_and_leaves_room_for_the_song() {
    let with_lm = Amount {
        plans: 1.0,
        codes: 150.0,
        ..amount()
    };
    let mut pace = Pace::new(Rates::default(), with_lm);
    let mut before = -1.0;
    for tokens in [1, 10, 100, 1000] {
        let now = pace.writing((tokens, None), 1.0);
        assert!(now.fraction > before && now.total == 0);
        before = now.fraction;
    }
    let codes = pace.writing((75, Some(150)), 2.0);
    assert!(codes.fraction > before);
    assert_eq!((codes.done, codes.total), (75, 150));
    pace.replan(with_lm);
    let song = pace.progress(Stage::Diffusion, 0, (1, 8), 3.0);
    assert!(song.fraction > codes.fraction && song.fraction < 1.0);

    let mut text = Pace::new(Rates::default(), Amount::of_text());
    let half = text.writing((80, None), 1.0).fraction;
    assert!((half - 0.5).abs() < 1e-6, "{half}");
}
