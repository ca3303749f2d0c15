//! Words that are more than the models read or the song holds, told while they are written.

use acestep_domain::{
    Note, UserError,
    generation::{
        GenerationParams,
        clamp::{is_instrumental, minutes},
        lm_room::{Room, check_room},
    },
    job::JobKind,
    lyrics::sung_secs,
    service::LoadedLm,
};

/// Characters of a caption the models read well (ui.md 3.3).
pub const CAPTION_CHARS: usize = 512;
/// Characters of lyrics the models read well (ui.md 7).
pub const LYRICS_CHARS: usize = 4096;
/// What is sung is a rule of thumb: only so many times the song's length is worth a word.
const CLEARLY: f64 = 1.25;

/// What of the words will not be heard; `longest` is the longest song in seconds.
pub fn notes(params: &GenerationParams, longest: f64) -> Vec<Note> {
    let long = |key: &str, name: &str, n: usize, max: usize| {
        (n > max).then(|| {
            let message = format!("{name}: {n} characters; the models read about {max}.");
            Note::new(&format!("{key}_long"), key, message)
                .with("n", n)
                .with("max", max)
        })
    };
    let sung = !is_instrumental(params);
    let caption = params.caption.trim().chars().count();
    let lyrics = params.lyrics.trim().chars().count();
    let secs = match params.duration_secs {
        None if params.task_type.needs().source => None,
        secs => Some(secs.unwrap_or(longest)),
    };
    let over = || {
        let (sings, secs) = (sung_secs(&params.lyrics, params.bpm)?, secs?);
        let message = format!(
            "Lyrics: they sing about {}, and the song is {} long.",
            minutes(sings),
            minutes(secs)
        );
        (sings > secs * CLEARLY).then(|| {
            Note::new("lyrics_over", "lyrics", message)
                .with("sung", minutes(sings))
                .with("length", minutes(secs))
        })
    };
    [
        long("caption", "Caption", caption, CAPTION_CHARS),
        long("lyrics", "Lyrics", lyrics, LYRICS_CHARS).filter(|_| sung),
        over().filter(|_| sung),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Why the language model would refuse the words of a song. A run with them fails, so it is not begun.
pub fn no_room(params: &GenerationParams, lm: &LoadedLm) -> Option<UserError> {
    check_room(JobKind::Generate, params, &Room::from(lm), lm.has_codes).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(params: &GenerationParams) -> Vec<String> {
        notes(params, 600.0)
            .into_iter()
            .map(|note| note.code)
            .collect()
    }

    #[test]
    fn words_that_are_too_many_are_told_before_the_run() {
        let mut params = GenerationParams {
            caption: "x".repeat(CAPTION_CHARS),
            lyrics: "[Verse]\nla la la".to_owned(),
            duration_secs: Some(60.0),
            ..GenerationParams::default()
        };
        assert_eq!(codes(&params), [""; 0]);
        params.caption.push('x');
        params.lyrics = "[Verse]\n".to_owned() + &"one more line of the song\n".repeat(200);
        assert_eq!(
            codes(&params),
            ["caption_long", "lyrics_long", "lyrics_over"]
        );
        params.instrumental = true;
        assert_eq!(codes(&params), ["caption_long"]);
    }

    #[test]
    fn a_language_model_without_room_for_the_words_stops_the_run() {
        let lm = LoadedLm {
            name: "small".to_owned(),
            built_in: true,
            parameters: 1,
            weights_bytes: 1,
            dtype: "f32".to_owned(),
            context_tokens: 100,
            has_codes: true,
        };
        let mut params = GenerationParams {
            lyrics: "la ".repeat(100),
            ..GenerationParams::default()
        };
        assert_eq!(no_room(&params, &lm), None);
        params.lyrics.push_str("la");
        let error = no_room(&params, &lm).unwrap();
        assert_eq!(error.field.as_deref(), Some("lyrics"));
        params.thinking = false;
        params.use_cot_metas = false;
        assert_eq!(no_room(&params, &lm), None, "it is not asked");
    }
}
