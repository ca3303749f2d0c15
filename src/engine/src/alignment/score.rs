//! How well the attention follows the lyrics, in one number (engine.md 10.3): are all words sung, in
//! their order, and how sure is it.

use super::{Maps, Matrix, dtw};

/// A word counts as sung where its largest value is above this.
const SUNG_ABOVE: f64 = 0.1;

/// Values that count for where a word is.
const HEARD_ABOVE: f64 = 0.01;

/// Frames a word may lie before the one before it.
const SLACK_FRAMES: f64 = 9.0;

/// Coverage squared times monotonicity squared times confidence, 0 to 1, in ten thousandths.
/// `sung` says of each token whether it is lyrics and no tag.
pub fn score(maps: &Maps, sung: &[bool]) -> f64 {
    let energy = energy(maps);
    let gain = Matrix {
        values: energy.values.iter().map(|value| value * value).collect(),
        ..energy
    };
    let path = dtw::path(&gain);
    let lyrics: Vec<&[f32]> = energy
        .rows()
        .zip(sung)
        .filter_map(|(row, sung)| sung.then_some(row))
        .collect();
    let confidence = path
        .iter()
        .map(|place| f64::from(energy.row(place.token)[place.frame]))
        .sum::<f64>()
        / path.len() as f64;
    let score = coverage(&lyrics).powi(2) * monotonicity(&lyrics).powi(2) * confidence;
    (score.clamp(0.0, 1.0) * 10_000.0).round() / 10_000.0
}

/// The mean of the maps, brought to 0..1 over the whole matrix; zeros where all is equal.
fn energy(maps: &Maps) -> Matrix {
    let (tokens, frames) = (maps.tokens(), maps.frames());
    let heads = maps.heads();
    let mean: Vec<f32> = (0..tokens * frames)
        .map(|place| heads.iter().map(|head| head.values[place]).sum::<f32>() / heads.len() as f32)
        .collect();
    let low = mean.iter().copied().fold(f32::INFINITY, f32::min);
    let high = mean.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = high - low;
    let scaled = |value: f32| {
        if range > 1e-9 {
            (value - low) / range
        } else {
            0.0
        }
    };
    Matrix {
        tokens,
        frames,
        values: mean.into_iter().map(scaled).collect(),
    }
}

/// Share of the words that are sung somewhere.
fn coverage(lyrics: &[&[f32]]) -> f64 {
    if lyrics.is_empty() {
        return 1.0;
    }
    let sung = lyrics.iter().filter(|row| {
        let most = row.iter().copied().fold(0.0, f32::max);
        f64::from(most) > SUNG_ABOVE
    });
    sung.count() as f64 / lyrics.len() as f64
}

/// Share of neighbouring words that follow each other in time.
fn monotonicity(lyrics: &[&[f32]]) -> f64 {
    let centres: Vec<f64> = lyrics.iter().filter_map(|row| centre(row)).collect();
    if centres.len() < 2 {
        return 1.0;
    }
    let ordered = centres
        .windows(2)
        .filter(|pair| pair[1] >= pair[0] - SLACK_FRAMES);
    ordered.count() as f64 / (centres.len() - 1) as f64
}

/// The frame round which a row lies, where it lies anywhere.
fn centre(row: &[f32]) -> Option<f64> {
    let heard = || {
        row.iter()
            .enumerate()
            .map(|(frame, value)| (frame as f64, f64::from(*value)))
            .filter(|(_, value)| *value > HEARD_ABOVE)
    };
    let weight: f64 = heard().map(|(_, value)| value).sum();
    (weight > 0.0).then(|| heard().map(|(frame, value)| frame * value).sum::<f64>() / weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Token `order[i]` is looked at in the `i`-th stretch of twenty frames.
    fn maps(order: &[usize]) -> Maps {
        let (tokens, frames) = (order.len(), order.len() * 20);
        let mut values = vec![0.0; tokens * frames];
        for (stretch, token) in order.iter().enumerate() {
            for frame in stretch * 20..(stretch + 1) * 20 {
                values[token * frames + frame] = 0.8;
            }
        }
        Maps {
            heads: vec![Matrix::new(tokens, frames, values).unwrap()],
        }
    }

    #[test]
    fn words_in_order_score_high_and_out_of_order_less() {
        // Of equal ways the one that goes on along frames is taken, through a few places of nothing.
        let ordered = score(&maps(&[0, 1, 2, 3]), &[true; 4]);
        assert!(ordered > 0.95, "{ordered}");
        let mixed = score(&maps(&[2, 0, 3, 1]), &[true; 4]);
        assert!(mixed < 0.3, "{mixed}");
        let flat = Maps {
            heads: vec![Matrix::new(2, 3, vec![0.2; 6]).unwrap()],
        };
        assert_eq!(score(&flat, &[true; 2]), 0.0);
    }

    #[test]
    fn a_tag_out_of_place_does_not_count_against_the_order() {
        let tagged = maps(&[1, 2, 3, 0]);
        let as_tag = score(&tagged, &[false, true, true, true]);
        let as_word = score(&tagged, &[true; 4]);
        assert!(as_tag > as_word, "{as_tag} {as_word}");
    }
}
