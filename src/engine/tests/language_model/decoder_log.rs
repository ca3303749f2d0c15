//! The log of how each token came about.

use super::*;

/// What is logged at the level debug while `work` runs, a line an event.
fn logged<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    #[derive(Clone, Default)]
    struct Lines(std::sync::Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let done = tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (done, text.lines().map(str::to_owned).collect())
}

#[test]
fn the_decoder_log_tells_of_every_token_and_changes_none() {
    let lm = demo();
    let asked = |log: bool| PlanRequest {
        options: TextOptions { log, ..options(3) },
        ..request(3)
    };
    let (plain, silence) = logged(|| lm.plan_song(&asked(false), &Silent).unwrap());
    let about = |lines: &[String]| -> Vec<String> {
        let of_decoder = lines.iter().filter(|line| line.contains("decoder_log"));
        of_decoder.cloned().collect()
    };
    assert_eq!(about(&silence), [""; 0]);
    let (told, lines) = logged(|| lm.plan_song(&asked(true), &Silent).unwrap());
    assert_eq!((told.text, told.tokens), (plain.text, plain.tokens));
    let lines = about(&lines);
    let number = |line: &str, key: &str| -> usize {
        let rest = line.split(&format!("{key}=")).nth(1).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let (forced, chosen): (Vec<&String>, Vec<&String>) = lines
        .iter()
        .partition(|line| line.contains("forced tokens"));
    let by_grammar: usize = forced.iter().map(|line| number(line, "tokens.count")).sum();
    assert_eq!(by_grammar + chosen.len(), plain.tokens);
    // The tempo is one of 30 to 300: the first digit of it is one of nine, whatever the model likes.
    let tempo = chosen
        .iter()
        .find(|line| line.contains("grammar.state=\"bpm\""))
        .unwrap();
    assert!(
        (2..=300).contains(&number(tempo, "tokens.allowed")),
        "{tempo}"
    );
    assert!(
        tempo.contains("token.text=") && tempo.contains("free.text="),
        "{tempo}"
    );
    // Its wish is of the whole vocabulary, and it does not always get it.
    for line in &chosen {
        let same = number(line, "token.id") == number(line, "free.id");
        assert_eq!(line.contains("agrees=true"), same, "{line}");
    }
    assert!(chosen.iter().any(|line| line.contains("agrees=false")));
}

#[test]
fn a_decoder_log_that_nobody_hears_is_told() {
    use acestep_engine::planner::decoder_log::unheard;
    let mut params = GenerationParams::default();
    assert_eq!(unheard(&params), None);
    params.constrained_decoding_debug = true;
    let note = unheard(&params).unwrap();
    assert_eq!(note.field.as_deref(), Some("constrained_decoding_debug"));
    let (heard, _) = logged(|| unheard(&params));
    assert_eq!(heard, None);
}
