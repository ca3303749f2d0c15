//! What a song is called until somebody names it.

/// Most letters of a title.
const LONGEST: usize = 48;

/// The first words of the caption, and a sign where more follow.
pub fn title_from_caption(caption: &str) -> String {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let whole = words.join(" ");
    let cut = whole.char_indices().nth(LONGEST).map(|(end, _)| end);
    let kept = match cut {
        None => &whole,
        // Half a word only where there is no other.
        Some(end) if whole[end..].starts_with(' ') => &whole[..end],
        Some(end) => {
            let cut = &whole[..end];
            cut.rsplit_once(' ').map_or(cut, |(words, _)| words)
        }
    };
    let kept = kept.trim_end_matches([',', '.', ';', ':', '-', ' ']);
    match (kept.is_empty(), cut) {
        (true, _) => "Untitled".to_owned(),
        (false, None) => kept.to_owned(),
        (false, Some(_)) => format!("{kept}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::title_from_caption;

    #[test]
    fn titles_are_the_first_words() {
        assert_eq!(title_from_caption("  warm   lofi, "), "warm lofi");
        assert_eq!(title_from_caption(" \n"), "Untitled");
        let whole = "a song of exactly as many letters as may stand.";
        assert_eq!(title_from_caption(whole), whole.trim_end_matches('.'));
    }

    #[test]
    fn a_title_says_where_more_follow() {
        assert_eq!(
            title_from_caption("bright synth pop with a driving bass line and handclaps"),
            "bright synth pop with a driving bass line and…"
        );
        let long = title_from_caption(&"piano ".repeat(40));
        assert_eq!(long, format!("{}…", ["piano"; 8].join(" ")));
        assert_eq!(
            title_from_caption(&"夜".repeat(90)),
            format!("{}…", "夜".repeat(48))
        );
    }
}
