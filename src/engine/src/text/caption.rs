//! The prompt of the text encoder: instruction, caption, metas (engine.md 2.2; `SFT_GEN_PROMPT`
//! and `_build_metadata_string` of the reference).

use acestep_domain::generation::GenerationParams;

use super::Prompt;

/// Longest prompt in tokens, end token included.
pub const MAX_TOKENS: usize = 256;

/// Length named when none is known.
const UNKNOWN_SECS: u64 = 30;

/// The prompt of `params` under `instruction`. `duration_secs` is the source's length where there
/// is one, else the length asked for.
pub fn prompt(params: &GenerationParams, instruction: &str, duration_secs: Option<f64>) -> Prompt {
    let colon = if instruction.ends_with(':') { "" } else { ":" };
    let caption = bare(&params.caption);
    let metas = metas(params, duration_secs);
    Prompt {
        text: format!(
            "# Instruction\n{instruction}{colon}\n\n# Caption\n{caption}\n\n# Metas\n{metas}"
        ),
        tail: "\n",
    }
}

fn metas(params: &GenerationParams, duration_secs: Option<f64>) -> String {
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "N/A".to_owned());
    let bpm = or_unknown(
        params
            .bpm
            .filter(|bpm| bpm.0 > 0)
            .map(|bpm| bpm.to_string()),
    );
    let signature = or_unknown(params.timesignature.map(|signature| signature.to_string()));
    let key = or_unknown(params.keyscale.map(|key| key.to_string()));
    let secs = duration_secs
        .filter(|secs| *secs > 0.0)
        .map_or(UNKNOWN_SECS, |secs| secs as u64);
    format!(
        "- bpm: {bpm}\n- timesignature: {signature}\n- keyscale: {key}\n- duration: {secs} seconds\n"
    )
}

/// The caption alone when somebody pasted a whole prompt.
fn bare(caption: &str) -> &str {
    match caption.split_once("# Caption") {
        Some((before, rest)) if before.contains("# Instruction") => {
            rest.split("# Metas").next().unwrap_or(rest).trim()
        }
        _ => caption,
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::{
        metadata::{Bpm, KeyScale, TimeSignature},
        task::TaskType,
    };

    use super::*;

    fn params() -> GenerationParams {
        GenerationParams {
            caption: "warm house".to_owned(),
            bpm: Some(Bpm(120)),
            keyscale: Some(KeyScale::parse("F# minor").unwrap()),
            timesignature: Some(TimeSignature::parse("4/4").unwrap()),
            ..GenerationParams::default()
        }
    }

    #[test]
    fn every_heading_stands_where_the_checkpoint_learnt_it() {
        let instruction = TaskType::Text2music.instruction(None, &[]);
        assert_eq!(
            prompt(&params(), &instruction, Some(12.9)).to_string(),
            "# Instruction\nFill the audio semantic mask based on the given conditions:\n\n\
             # Caption\nwarm house\n\n\
             # Metas\n- bpm: 120\n- timesignature: 4\n- keyscale: F# minor\n- duration: 12 seconds\n\
             <|endoftext|>\n"
        );
    }

    #[test]
    fn what_is_not_known_is_named_so() {
        let params = GenerationParams {
            caption: String::new(),
            ..GenerationParams::default()
        };
        assert_eq!(
            prompt(&params, "Do it", None).to_string(),
            "# Instruction\nDo it:\n\n# Caption\n\n\n\
             # Metas\n- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: 30 seconds\n\
             <|endoftext|>\n"
        );
    }

    #[test]
    fn a_pasted_prompt_is_stripped_to_its_caption() {
        let whole = prompt(&params(), "Do it:", Some(5.0)).to_string();
        let pasted = GenerationParams {
            caption: whole.clone(),
            ..params()
        };
        assert_eq!(prompt(&pasted, "Do it:", Some(5.0)).to_string(), whole);
    }
}
