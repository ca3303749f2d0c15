//! From attention to times: what the heads agree on is sharpened, a path is laid through it, and
//! each line gets the time of its first and last token (engine.md 10.2).

use acestep_domain::timed_lyrics::LyricLine;

use super::{
    Maps, Matrix,
    dtw::{self, Place},
    words::Words,
};

/// How much of the median is taken away, in rows and in columns.
const SUPPRESSION: f32 = 2.0;

/// Keeps the z-score of a constant matrix finite.
const EPSILON: f32 = 1e-9;

/// The lines of `words` with their times. `secs_per_frame` is the length of the song over its frames.
pub fn lines(maps: &Maps, words: &Words, secs_per_frame: f64) -> Vec<LyricLine> {
    let spans = token_secs(&dtw::path(&sharpened(maps)), maps.tokens(), secs_per_frame);
    words
        .lines()
        .into_iter()
        .map(|line| LyricLine {
            start_secs: thousandths(spans[line.tokens.start].0),
            end_secs: thousandths(spans[line.tokens.end - 1].1),
            text: line.text,
        })
        .collect()
}

fn thousandths(secs: f64) -> f64 {
    (secs * 1000.0).round() / 1000.0
}

/// First and last moment of each token: those of its frames on the path, which has at least one.
pub fn token_secs(path: &[Place], tokens: usize, secs_per_frame: f64) -> Vec<(f64, f64)> {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; tokens];
    for place in path {
        let span = spans[place.token].get_or_insert((place.frame, place.frame));
        span.1 = place.frame;
    }
    let secs = |frame: usize| frame as f64 * secs_per_frame;
    spans
        .into_iter()
        .map(|span| span.map_or((0.0, 0.0), |(first, last)| (secs(first), secs(last))))
        .collect()
}

/// What all heads agree on: each map times itself as seen from both sides, what is everywhere taken
/// away, large values made larger; z-scored over all heads together, and averaged.
pub fn sharpened(maps: &Maps) -> Matrix {
    let (tokens, frames) = (maps.tokens(), maps.frames());
    let stack: Vec<Vec<f32>> = maps.heads().iter().map(consensus).collect();
    let count = (stack.len() * tokens * frames) as f64;
    let all = || stack.iter().flatten().map(|value| f64::from(*value));
    let mean = all().sum::<f64>() / count;
    let variance = all().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let (mean, deviation) = (mean as f32, variance.sqrt() as f32);
    let heads = stack.len() as f32;
    let values = (0..tokens * frames)
        .map(|place| {
            let scores = stack
                .iter()
                .map(|map| (map[place] - mean) / (deviation + EPSILON));
            scores.sum::<f32>() / heads
        })
        .collect();
    Matrix {
        tokens,
        frames,
        values,
    }
}

/// One head's map, sharpened.
fn consensus(map: &Matrix) -> Vec<f32> {
    let (tokens, frames) = (map.tokens, map.frames);
    // A softmax of shares: shares lie in 0..1, so nothing overflows without a shift.
    let lifted: Vec<f32> = map.values.iter().map(|value| value.exp()).collect();
    let mut of_frames = vec![0f32; tokens];
    let mut of_tokens = vec![0f32; frames];
    for (row, sum) in lifted.chunks_exact(frames).zip(&mut of_frames) {
        *sum = row.iter().sum();
        for (value, sum) in row.iter().zip(&mut of_tokens) {
            *sum += value;
        }
    }
    let mut values = lifted;
    for (row, over_frames) in values.chunks_exact_mut(frames).zip(&of_frames) {
        for (value, over_tokens) in row.iter_mut().zip(&of_tokens) {
            *value = (*value / over_frames) * (*value / over_tokens);
        }
    }
    let mut scratch = Vec::with_capacity(tokens.max(frames));
    for row in values.chunks_exact_mut(frames) {
        scratch.clear();
        scratch.extend_from_slice(row);
        let level = SUPPRESSION * median(&mut scratch);
        for value in row {
            *value = (*value - level).max(0.0);
        }
    }
    for frame in 0..frames {
        scratch.clear();
        scratch.extend(values.iter().skip(frame).step_by(frames));
        let level = SUPPRESSION * median(&mut scratch);
        for value in values.iter_mut().skip(frame).step_by(frames) {
            *value = (*value - level).max(0.0).powi(2);
        }
    }
    values
}

/// The middle value, or the mean of the two.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let upper = *upper;
    if below.len() < middle || values.len() % 2 == 1 {
        return upper;
    }
    let lower = values[..middle]
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    lower + (upper - lower) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attention that sings token after token, each `width` frames long, over a little noise.
    fn staircase(tokens: usize, width: usize, head: u32) -> Matrix {
        let frames = tokens * width;
        let mut state = 17 + head;
        let values = (0..tokens * frames)
            .map(|place| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 8) as f32 / (1 << 24) as f32 * 0.05;
                let (token, frame) = (place / frames, place % frames);
                noise + if frame / width == token { 0.6 } else { 0.0 }
            })
            .collect();
        Matrix::new(tokens, frames, values).unwrap()
    }

    #[test]
    fn lines_begin_where_their_tokens_are_looked_at() {
        let words = Words::spelt(&["[", "Verse", "]\n", "one", " two", "\n", "three", " four"]);
        let maps = Maps {
            heads: vec![staircase(8, 5, 0), staircase(8, 5, 1)],
        };
        let lines = lines(&maps, &words, 0.08);
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.text.as_str(), line.start_secs, line.end_secs))
            .collect();
        // Five frames a token, 0.08 s a frame: lines of three, three and two tokens.
        assert_eq!(
            found,
            [
                ("[Verse]", 0.0, 1.12),
                ("one two", 1.2, 2.32),
                ("three four", 2.4, 3.12),
            ]
        );
    }

    #[test]
    fn the_median_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
        assert_eq!(median(&mut [1.0, 1.0, 5.0, 5.0]), 3.0);
    }

    #[test]
    fn attention_that_says_nothing_still_gives_finite_times() {
        let flat = Matrix::new(3, 4, vec![0.25; 12]).unwrap();
        let maps = Maps { heads: vec![flat] };
        let words = Words::spelt(&["a", "\n", "b"]);
        let found = lines(&maps, &words, 1.0);
        assert!(found.iter().all(|line| line.start_secs.is_finite()));
        assert_eq!(found.len(), 2);
    }
}
