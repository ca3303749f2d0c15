//! A plan in the words of the model's own thinking, field by field and as a whole.

use acestep_domain::SongPlan;

use super::yaml::{self, Scalar};

/// The fields of `plan` that are there, in their fixed order.
pub fn fields(plan: &SongPlan) -> Vec<(&'static str, Scalar)> {
    let text = |text: String| Scalar::Text(text);
    let caption: Vec<&str> = plan.caption.split_whitespace().collect();
    let fields = [
        ("bpm", plan.bpm.map(|bpm| Scalar::Number(bpm.0))),
        (
            "caption",
            (!caption.is_empty()).then(|| text(caption.join(" "))),
        ),
        ("duration", plan.duration_secs.map(Scalar::Number)),
        ("keyscale", plan.keyscale.map(|key| text(key.to_string()))),
        (
            "language",
            plan.language
                .map(|language| text(language.code().to_owned())),
        ),
        (
            "timesignature",
            plan.timesignature
                .map(|time| Scalar::Number(u32::from(time.beats()))),
        ),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The plan as the codes' prompt repeats it.
pub fn repeated(plan: &SongPlan) -> String {
    yaml::dump(&fields(plan))
}

#[cfg(test)]
mod tests {
    use acestep_domain::metadata::{Bpm, KeyScale, Language, TimeSignature};

    use super::*;

    #[test]
    fn the_plan_is_repeated_as_the_training_text_had_it() {
        let plan = SongPlan {
            bpm: Some(Bpm(90)),
            caption: "soft  piano:\nwarm".to_owned(),
            duration_secs: Some(30),
            keyscale: KeyScale::parse("F# minor").ok(),
            language: Language::parse("no").ok(),
            timesignature: TimeSignature::parse("4").ok(),
            lyrics: "never in it".to_owned(),
        };
        assert_eq!(
            repeated(&plan),
            "bpm: 90\ncaption: 'soft piano: warm'\nduration: 30\nkeyscale: F# minor\nlanguage: 'no'\ntimesignature: 4"
        );
        assert_eq!(repeated(&SongPlan::default()), "");
    }
}
