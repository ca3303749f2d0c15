use super::*;

/// Captions and what PyYAML makes of them (`src/xtask/reference/plan_yaml.py`).
const FIXTURE: &str = include_str!("../../../tests/fixtures/plan_yaml.json");

#[test]
fn captions_are_quoted_and_folded_as_pyyaml_does() {
    let cases: Vec<(String, String)> = serde_json::from_str(FIXTURE).unwrap();
    assert!(cases.len() > 250);
    let wrong: Vec<_> = cases
        .iter()
        // A tab or a line break never reaches a plan (captions are one line): read back, not compared.
        .filter(|(text, _)| !text.contains(['\t', '\n']))
        .map(|(text, wanted)| (dump(&[("caption", Scalar::Text(text.clone()))]), wanted))
        .filter(|(ours, wanted)| ours != *wanted)
        .collect();
    assert!(
        wrong.is_empty(),
        "{} differ, first: {:#?}",
        wrong.len(),
        wrong.first()
    );
}

#[test]
fn a_plan_is_its_fields_in_order_and_nothing_is_an_empty_text() {
    let text = |text: &str| Scalar::Text(text.to_owned());
    assert_eq!(
        dump(&[
            ("bpm", Scalar::Number(90)),
            ("duration", Scalar::Number(30)),
            ("keyscale", text("C# minor")),
            ("language", text("no")),
            ("timesignature", text("6/8")),
        ]),
        "bpm: 90\nduration: 30\nkeyscale: C# minor\nlanguage: 'no'\ntimesignature: 6/8"
    );
    assert_eq!(dump(&[]), "");
}

#[test]
fn control_characters_are_escaped() {
    assert_eq!(
        dump(&[("caption", Scalar::Text("a\tb\n\u{1}".to_owned()))]),
        "caption: \"a\\tb\\n\\x01\""
    );
}
