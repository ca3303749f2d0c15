//! Rows turned into columns.

/// Values of a block's side: one vector of the narrowest instruction set, so that the compiler turns a block by
/// shuffles on every machine.
const SIDE: usize = 4;

/// `to[c · ld_to + r] = from[r · ld_from + c]` for `r < rows`, `c < columns`.
pub(super) fn transpose(
    (from, ld_from): (&[f32], usize),
    (rows, columns): (usize, usize),
    (to, ld_to): (&mut [f32], usize),
) {
    let whole = (rows - rows % SIDE, columns - columns % SIDE);
    for r in (0..whole.0).step_by(SIDE) {
        for c in (0..whole.1).step_by(SIDE) {
            let mut block = [[0f32; SIDE]; SIDE];
            for (i, row) in block.iter_mut().enumerate() {
                row.copy_from_slice(&from[(r + i) * ld_from + c..][..SIDE]);
            }
            for i in 0..SIDE {
                let column: [f32; SIDE] = std::array::from_fn(|j| block[j][i]);
                to[(c + i) * ld_to + r..][..SIDE].copy_from_slice(&column);
            }
        }
    }
    for r in 0..rows {
        let first = if r < whole.0 { whole.1 } else { 0 };
        for c in first..columns {
            to[c * ld_to + r] = from[r * ld_from + c];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn every_value_changes_sides_and_nothing_beside_them_is_touched() {
        for (rows, columns) in [(0, 3), (1, 1), (3, 9), (4, 4), (13, 6), (96, 128)] {
            let (ld_from, ld_to) = (columns + 2, rows + 3);
            let from: Vec<f32> = (0..rows * ld_from).map(|i| i as f32).collect();
            let mut to = vec![-1.0; columns * ld_to];
            transpose((&from, ld_from), (rows, columns), (&mut to, ld_to));
            for (c, row) in to.chunks_exact(ld_to).enumerate() {
                for (r, value) in row.iter().enumerate() {
                    let want = if r < rows {
                        from[r * ld_from + c]
                    } else {
                        -1.0
                    };
                    assert_eq!(*value, want, "{rows} x {columns}: {r}, {c}");
                }
            }
        }
    }
}
