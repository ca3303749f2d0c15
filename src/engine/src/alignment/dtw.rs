//! Dynamic time warping: the cheapest way through a matrix from the first token at the first frame
//! to the last token at the last frame, where every step takes a token, a frame, or both further.

use super::Matrix;

/// A place on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The token, from 0.
    pub token: usize,
    /// The frame, from 0.
    pub frame: usize,
}

/// Where a place was come to from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// Token and frame before.
    Both,
    /// The token before, at the same frame.
    Token,
    /// The same token, at the frame before.
    Frame,
}

/// The way through `gain` that gathers the most; every token and every frame is on it.
///
/// Costs are the negated gains, summed up in f32. Of equal ways the one that advances frames goes
/// first, as the reference has it (engine.md 10.2, 4): the diagonal and the token's step only win by
/// being strictly cheaper than both others.
pub fn path(gain: &Matrix) -> Vec<Place> {
    let (tokens, frames) = (gain.tokens(), gain.frames());
    let mut from = vec![From::Frame; tokens * frames];
    // Costs up to the row before and the one at work, each with the border before frame 0.
    let mut above = vec![f32::INFINITY; frames + 1];
    above[0] = 0.0;
    let mut costs = vec![f32::INFINITY; frames + 1];
    for (token, row) in gain.rows().enumerate() {
        costs[0] = f32::INFINITY;
        for (frame, value) in row.iter().enumerate() {
            let (both, up, left) = (above[frame], above[frame + 1], costs[frame]);
            let (best, step) = if both < up && both < left {
                (both, From::Both)
            } else if up < both && up < left {
                (up, From::Token)
            } else {
                (left, From::Frame)
            };
            // Gains and costs are added up in f64 and kept in f32.
            costs[frame + 1] = (f64::from(best) - f64::from(*value)) as f32;
            from[token * frames + frame] = step;
        }
        std::mem::swap(&mut above, &mut costs);
    }

    let mut place = Place {
        token: tokens - 1,
        frame: frames - 1,
    };
    let mut way = vec![place];
    while place.token > 0 || place.frame > 0 {
        let step = match (place.token, place.frame) {
            (0, _) => From::Frame,
            (_, 0) => From::Token,
            (token, frame) => from[token * frames + frame],
        };
        if matches!(step, From::Both | From::Token) {
            place.token -= 1;
        }
        if matches!(step, From::Both | From::Frame) {
            place.frame -= 1;
        }
        way.push(place);
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(tokens: usize, frames: usize, values: &[f32]) -> Vec<(usize, usize)> {
        let gain = Matrix::new(tokens, frames, values.to_vec()).unwrap();
        path(&gain)
            .iter()
            .map(|place| (place.token, place.frame))
            .collect()
    }

    #[test]
    fn it_follows_a_staircase() {
        #[rustfmt::skip]
        let gain = [
             9.,  9., -1., -1., -1., -1.,
            -1., -1.,  9., -1., -1., -1.,
            -1., -1., -1.,  9.,  9.,  9.,
        ];
        assert_eq!(
            way(3, 6, &gain),
            [(0, 0), (0, 1), (1, 2), (2, 3), (2, 4), (2, 5)]
        );
    }

    #[test]
    fn more_tokens_than_frames_share_frames() {
        let places = way(4, 2, &[5., -1., 5., -1., -1., 5., -1., 5.]);
        assert_eq!(places, [(0, 0), (1, 0), (2, 1), (3, 1)]);
        assert_eq!(way(3, 1, &[1.; 3]), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(way(1, 3, &[1.; 3]), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(way(1, 1, &[0.]), [(0, 0)]);
    }

    #[test]
    fn every_token_and_every_frame_is_on_the_way() {
        let mut state = 7u32;
        let values: Vec<f32> = (0..13 * 29)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Few different values: ties everywhere.
                (state >> 29) as f32
            })
            .collect();
        let places = way(13, 29, &values);
        assert_eq!(places.first(), Some(&(0, 0)));
        assert_eq!(places.last(), Some(&(12, 28)));
        for pair in places.windows(2) {
            let step = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            assert!(matches!(step, (1, 0 | 1) | (0, 1)), "{pair:?}");
        }
    }
}
