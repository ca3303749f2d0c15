use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::planner::{
    constraint::{Constraint, Next},
    parse,
    tokenizer::tests::small,
};

/// One for all tests: its tables take longer than most of them.
fn grammar() -> &'static Grammar {
    static GRAMMAR: LazyLock<Grammar> =
        LazyLock::new(|| Grammar::new(Arc::new(small(65_535))).unwrap());
    &GRAMMAR
}

fn all() -> Fields {
    Fields {
        caption: true,
        language_field: true,
        max_duration_secs: 240,
        ..Fields::default()
    }
}

/// A cheap generator of choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

/// Follows the automaton to its end; `choose` picks one of the allowed ids.
fn follow(automaton: &mut dyn Constraint, choose: &mut dyn FnMut(&[u32]) -> u32) -> Vec<u32> {
    let mut ids = Vec::new();
    loop {
        let run = match automaton.next() {
            Next::Done => return ids,
            Next::Forced(run) => run,
            Next::Choice { allowed, .. } => {
                let options: Vec<u32> = allowed.iter().collect();
                assert!(
                    !options.is_empty(),
                    "nothing is allowed at {}",
                    automaton.field()
                );
                vec![choose(&options)]
            }
        };
        for id in run {
            automaton.advance(id).unwrap();
            ids.push(id);
        }
        assert!(ids.len() < 20_000, "no end in {}", automaton.field());
    }
}

fn spelt(tokenizer: &LmTokenizer, ids: &[u32]) -> String {
    let control = tokenizer.control();
    // Letters may be cut by tokens, so whole runs of text are decoded.
    ids.chunk_by(|a, b| !tokenizer.bytes(*a).is_empty() && !tokenizer.bytes(*b).is_empty())
        .map(|run| match run {
            [id] if *id == control.think => "<think>".to_owned(),
            [id] if *id == control.think_end => "</think>".to_owned(),
            [id] if *id == control.turn_end => "<|im_end|>".to_owned(),
            run => tokenizer.decode(run),
        })
        .collect()
}

/// Takes tokens of `text` where they are allowed; the answer must end with the text.
fn drive(automaton: &mut Automaton, tokenizer: &LmTokenizer, text: &str) -> Vec<u32> {
    let mut wanted = tokenizer.encode(text).unwrap().into_iter();
    follow(automaton, &mut |options| {
        let id = wanted.next().expect("the text is used up");
        assert!(
            options.contains(&id),
            "{:?} is not allowed",
            tokenizer.decode(&[id])
        );
        id
    })
}

#[test]
fn values_given_are_written_as_they_are_and_what_could_be_said_instead_is_known() {
    let grammar = grammar();
    let fields = Fields {
        bpm: Some(Bpm(120)),
        duration_secs: Some(30),
        keyscale: KeyScale::parse("F# minor").ok(),
        language: Language::parse("no").ok(),
        timesignature: TimeSignature::parse("6").ok(),
        language_field: true,
        max_duration_secs: 240,
        ..Fields::default()
    };
    let mut automaton = grammar.thinking(&fields, After::Stop).unwrap();
    let mut ids = Vec::new();
    let mut asides = Vec::new();
    loop {
        while let Some(mut aside) = automaton.aside() {
            let said = follow(aside.as_mut(), &mut |options| options[0]);
            asides.push(spelt(grammar.tokenizer(), &said));
        }
        match automaton.next() {
            Next::Done => break,
            Next::Choice { .. } => panic!("everything is known"),
            Next::Forced(run) => {
                for id in run {
                    automaton.advance(id).unwrap();
                    ids.push(id);
                }
            }
        }
    }
    let text = "<think>\nbpm: 120\nduration: 30\nkeyscale: F# minor\nlanguage: no\ntimesignature: 6\n</think>";
    assert_eq!(spelt(grammar.tokenizer(), &ids), text);
    assert_eq!(asides.len(), 5);
    let bpm: u32 = asides[0].trim().parse().unwrap();
    assert!((30..=300).contains(&bpm) && asides[0].ends_with('\n'));
    assert!(KeyScale::parse(asides[2].trim()).is_ok(), "{asides:?}");
}

#[test]
fn names_are_encoded_as_the_text_the_model_saw() {
    // "bpm:" is b, pm here as in the released tokenizer, never bp, m.
    let grammar = grammar();
    let mut automaton = grammar.thinking(&all(), After::Stop).unwrap();
    let Next::Forced(run) = automaton.next() else {
        panic!("the tag and the first name are forced");
    };
    let tokenizer = grammar.tokenizer();
    let wanted = [
        vec![tokenizer.control().think],
        tokenizer.encode("\nbpm:").unwrap(),
    ]
    .concat();
    assert_eq!(run, wanted);
    assert_eq!(tokenizer.decode(&wanted[3..4]), "pm");
}

/// What may follow after `prefix` of the field's value, as text.
fn options(field: &str, max: u32, prefix: &str) -> Vec<String> {
    let grammar = grammar();
    let tokenizer = Arc::clone(grammar.tokenizer());
    let known = |name: &str| field != name;
    let fields = Fields {
        bpm: known("bpm").then_some(Bpm(90)),
        duration_secs: known("duration").then_some(20),
        keyscale: known("keyscale").then(|| KeyScale::parse("C major").unwrap()),
        language: known("language").then(|| Language::parse("en").unwrap()),
        timesignature: known("timesignature").then(|| TimeSignature::parse("4").unwrap()),
        language_field: true,
        max_duration_secs: max,
        caption: false,
    };
    let mut automaton = grammar.thinking(&fields, After::Stop).unwrap();
    while automaton.field() != field {
        let Next::Forced(run) = automaton.next() else {
            panic!("only {field} is open");
        };
        for id in run {
            automaton.advance(id).unwrap();
        }
    }
    for id in tokenizer.encode(prefix).unwrap() {
        automaton.advance(id).unwrap();
    }
    let ids = match automaton.next() {
        Next::Forced(run) => run,
        Next::Choice { allowed, .. } => allowed.iter().collect(),
        Next::Done => Vec::new(),
    };
    let mut texts: Vec<String> = ids.iter().map(|id| tokenizer.decode(&[*id])).collect();
    texts.sort();
    texts
}

#[test]
fn values_are_trees_of_tokens() {
    let digits = |from: char| (from..='9').map(String::from).collect::<Vec<_>>();
    assert_eq!(options("bpm", 240, ""), [" "]);
    assert_eq!(options("bpm", 240, " "), digits('1'));
    assert_eq!(options("bpm", 240, " 3"), digits('0'));
    assert_eq!(options("bpm", 240, " 30"), ["\n", "0"]);
    assert_eq!(options("bpm", 240, " 300"), ["\n"]);
    assert_eq!(options("bpm", 240, " 40"), ["\n"]);
    assert_eq!(options("bpm", 240, " 299"), ["\n"]);
    assert_eq!(options("duration", 240, " 24"), ["\n", "0"]);
    assert_eq!(options("duration", 240, " 25"), ["\n"]);
    assert_eq!(options("duration", 240, " 9"), digits('0'));
    assert_eq!(options("duration", 180, " 18"), ["\n", "0"]);
    assert_eq!(options("timesignature", 240, " "), ["2", "3", "4", "6"]);
    // " Ab" is a token of its own, so " A" is not followed by b.
    let after_a = options("keyscale", 240, " A");
    assert!(after_a.contains(&"#".to_owned()) && !after_a.contains(&"b".to_owned()));
    assert!(after_a.contains(&" major".to_owned()));
    assert_eq!(options("keyscale", 240, " G major"), ["\n"]);
    assert_eq!(options("language", 240, " en"), ["\n"]);
}

#[test]
fn every_value_can_be_reached_and_no_other() {
    let grammar = grammar();
    let tokenizer = Arc::clone(grammar.tokenizer());
    for (tree, name, count) in [
        (&grammar.bpm, "bpm", 271),
        (&grammar.keyscale, "keyscale", 70),
        (&grammar.language, "language", 51),
        (&grammar.timesignature, "timesignature", 4),
    ] {
        // All ways from the root to a closed value.
        let mut open = vec![(0, Vec::new())];
        let mut values = Vec::new();
        while let Some((node, ids)) = open.pop() {
            for id in tree.allowed(node).iter() {
                let longer = [ids.clone(), vec![id]].concat();
                match tree.step(node, id).unwrap() {
                    tree::Way::On(node) => open.push((node, longer)),
                    tree::Way::Closed => values.push(tokenizer.decode(&longer)),
                }
            }
        }
        assert_eq!(values.len(), count, "{name}");
        assert!(
            values
                .iter()
                .all(|value| value.starts_with(' ') && value.ends_with('\n'))
        );
    }
}

#[test]
fn a_caption_ends_with_its_line_and_continues_only_indented() {
    let grammar = grammar();
    let tokenizer = Arc::clone(grammar.tokenizer());
    let fields = Fields {
        bpm: Some(Bpm(90)),
        duration_secs: Some(20),
        keyscale: KeyScale::parse("C major").ok(),
        timesignature: TimeSignature::parse("4").ok(),
        caption: true,
        max_duration_secs: 240,
        ..Fields::default()
    };
    let plan = |caption: &str| {
        let mut automaton = grammar.thinking(&fields, After::Stop).unwrap();
        spelt(
            &tokenizer,
            &drive(&mut automaton, &tokenizer, &format!(" {caption}duration")),
        )
    };
    for caption in [
        "soft piano.\n",
        "soft piano:\n duration 999!\n",
        "eine Flöte 🎵 für 日本\n",
        "spelt </think> in letters\n",
        "a b\n",
    ] {
        assert_eq!(
            plan(caption),
            format!(
                "<think>\nbpm: 90\ncaption: {caption}duration: 20\nkeyscale: C major\ntimesignature: 4\n</think>"
            )
        );
    }
    // After the line: a space, or the first token of the next name; nothing else.
    let mut automaton = grammar.thinking(&fields, After::Stop).unwrap();
    let mut left = tokenizer.encode(" soft.\n").unwrap().into_iter();
    loop {
        match automaton.next() {
            Next::Forced(run) => run
                .into_iter()
                .for_each(|id| automaton.advance(id).unwrap()),
            Next::Choice { allowed, .. } => {
                if let Some(id) = left.next() {
                    automaton.advance(id).unwrap();
                } else {
                    let name = tokenizer.encode("duration").unwrap()[0];
                    assert!(allowed.contains(name));
                    assert!(
                        allowed
                            .iter()
                            .all(|id| id == name || tokenizer.bytes(id)[0] == b' ')
                    );
                    assert!(!allowed.contains(grammar.letters.newline));
                    break;
                }
            }
            Next::Done => panic!("the caption is open"),
        }
    }
}

#[test]
fn nothing_unlawful_stands_in_a_caption() {
    let grammar = grammar();
    let tokenizer = grammar.tokenizer();
    let control = tokenizer.control();
    let codes = tokenizer.code_ids().unwrap();
    for set in [
        &grammar.letters.inside,
        &grammar.letters.first,
        &grammar.letters.indented,
        &grammar.letters.speaking,
    ] {
        for id in set.iter() {
            let bytes = tokenizer.bytes(id);
            assert!(id != control.turn_end && id != control.think_end && !codes.contains(&id));
            assert!(!bytes.contains(&b'`') && !bytes.contains(&0) && !bytes.contains(&b'\t'));
            let breaks = bytes.split(|byte| *byte == b'\n').count() - 1;
            assert!(breaks == 0 || (breaks == 1 && bytes.ends_with(b"\n")));
        }
    }
}

#[test]
fn a_caption_without_end_is_ended() {
    let grammar = grammar();
    let tokenizer = Arc::clone(grammar.tokenizer());
    let fields = all();
    for stubborn in ["x", " ", "\u{1F3B5}", "\n"] {
        let ids = tokenizer.encode(stubborn).unwrap();
        let mut automaton = grammar.thinking(&fields, After::Stop).unwrap();
        let mut turn = 0;
        let answer = follow(&mut automaton, &mut |options| {
            // One letter forever where it is allowed, else the first thing that is.
            let id = ids[turn % ids.len()];
            if options.contains(&id) {
                turn += 1;
                id
            } else {
                options[0]
            }
        });
        let text = spelt(&tokenizer, &answer);
        let parse::Answer { plan, .. } = parse::plan(&text);
        assert!(answer.len() < MAX_TOKENS, "{}", answer.len());
        assert!(plan.bpm.is_some() && plan.timesignature.is_some(), "{text}");
    }
}

const MAX_TOKENS: usize = automaton::MAX_CAPTION_TOKENS + 100;

#[test]
fn codes_are_counted_exactly() {
    let grammar = grammar();
    for (secs, count) in [
        (10.0, 50),
        (10.9, 54),
        (30.5, 152),
        (10.2, 51),
        (600.0, 3000),
        (0.1, 0),
    ] {
        assert_eq!(codes_of(secs), count, "{secs}");
    }
    let tokenizer = grammar.tokenizer();
    let mut automaton = grammar.codes(Some(54)).unwrap();
    let ids = follow(&mut automaton, &mut |options| {
        assert_eq!(options.len(), 64_000);
        assert!(!options.contains(&tokenizer.control().turn_end));
        *options.last().unwrap()
    });
    assert_eq!(ids.len(), 54);
    assert!(ids.iter().all(|id| tokenizer.code(*id) == Some(63_999)));
    assert!(
        automaton.advance(ids[0]).is_err(),
        "one more is not allowed"
    );

    let mut open = grammar.codes(None).unwrap();
    let ids = follow(&mut open, &mut |options| {
        assert_eq!(options.len(), 64_001);
        tokenizer.control().turn_end
    });
    assert_eq!(ids.len(), 1);
}

#[test]
fn lyrics_end_with_the_turn_and_hold_no_codes_and_no_run_of_empty_lines() {
    let grammar = grammar();
    let tokenizer = Arc::clone(grammar.tokenizer());
    let control = tokenizer.control();
    let mut automaton = grammar.thinking(&all(), After::Lyrics).unwrap();
    let newline = grammar.letters.newline;
    let mut breaks = 0;
    let ids = follow(&mut automaton, &mut |options| {
        assert!(options.iter().all(|id| tokenizer.code(*id).is_none()));
        let in_lyrics = options.contains(&control.turn_end);
        if !in_lyrics {
            return options[0];
        }
        assert!(!options.contains(&control.think) && !options.contains(&control.end_of_text));
        if options.contains(&newline) && breaks < 5 {
            breaks += 1;
            newline
        } else {
            control.turn_end
        }
    });
    assert_eq!(breaks, 2, "after an empty line a word or the end follows");
    assert_eq!(ids.last(), Some(&control.turn_end));
}

#[test]
fn a_token_that_is_not_allowed_is_an_error_and_changes_nothing() {
    let grammar = grammar();
    let mut automaton = grammar.thinking(&all(), After::Stop).unwrap();
    let before = spelt(grammar.tokenizer(), &[]);
    let wrong = grammar.tokenizer().control().turn_end;
    assert!(automaton.advance(wrong).is_err());
    assert_eq!(before, "");
    assert!(
        matches!(automaton.next(), Next::Forced(run) if run[0] == grammar.tokenizer().control().think)
    );
    let mut value = grammar
        .thinking(
            &Fields {
                max_duration_secs: 240,
                ..Fields::default()
            },
            After::Stop,
        )
        .unwrap();
    let Next::Forced(run) = value.next() else {
        panic!()
    };
    for id in run {
        value.advance(id).unwrap();
    }
    let error = value.advance(wrong).unwrap_err().to_string();
    assert!(error.contains("bpm"), "{error}");
}

#[test]
fn a_tokenizer_without_codes_plans_and_refuses_codes() {
    let grammar = Grammar::new(Arc::new(small(0))).unwrap();
    assert!(grammar.thinking(&all(), After::Stop).is_ok());
    assert!(grammar.codes(Some(5)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_model_thinks_the_answer_is_a_whole_plan(
        seed in any::<u64>(),
        max in prop::sample::select(vec![180_u32, 240, 360, 480, 600]),
        bpm in prop::option::of(30_u32..=300),
        secs in prop::option::of(1_u32..900),
        caption in any::<bool>(),
        language in any::<bool>(),
    ) {
        let grammar = grammar();
        let fields = Fields {
            bpm: bpm.map(Bpm),
            duration_secs: secs,
            caption,
            language_field: language,
            max_duration_secs: max,
            ..Fields::default()
        };
        let mut dice = Dice(seed);
        let mut automaton = grammar.thinking(&fields, After::Stop).unwrap();
        let ids = follow(&mut automaton, &mut |options| options[dice.roll(options.len())]);
        let text = spelt(grammar.tokenizer(), &ids);
        prop_assert!(std::str::from_utf8(
            &ids.iter().flat_map(|id| grammar.tokenizer().bytes(*id)).copied().collect::<Vec<_>>()
        ).is_ok());
        let parse::Answer { plan, warnings } = parse::plan(&text);
        prop_assert!(warnings.is_empty(), "{:?}", warnings);
        prop_assert_eq!(plan.bpm.map(|bpm| bpm.0).is_some(), true);
        if let Some(bpm) = bpm {
            prop_assert_eq!(plan.bpm, Some(Bpm(bpm)));
        }
        let duration = plan.duration_secs.unwrap();
        prop_assert!((10..=max).contains(&duration));
        if let Some(secs) = secs {
            prop_assert_eq!(duration, secs.clamp(10, max));
        }
        prop_assert!(plan.keyscale.is_some() && plan.timesignature.is_some());
        prop_assert_eq!(plan.language.is_some(), language);
        prop_assert_eq!(plan.caption.is_empty(), !caption);
    }
}
