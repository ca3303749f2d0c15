//! Seeds are settled once, at submission, and recorded: every later draw comes from them.

/// One seed for each of `batch` songs: the given ones first, fresh random ones for the rest, all
/// fresh ones different from every other.
pub(crate) fn settle(given: &[u32], batch: usize) -> Result<Vec<u32>, getrandom::Error> {
    let mut seeds: Vec<u32> = given.iter().copied().take(batch).collect();
    while seeds.len() < batch {
        let fresh = getrandom::u32()?;
        if !seeds.contains(&fresh) {
            seeds.push(fresh);
        }
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::settle;

    #[test]
    fn given_seeds_come_first_and_the_rest_are_fresh_and_different() {
        let seeds = settle(&[7, 7], 4).unwrap();
        assert_eq!(seeds[..2], [7, 7]);
        assert_eq!(seeds.len(), 4);
        assert_ne!(seeds[2], seeds[3]);
        assert!(!seeds[2..].contains(&7));
        assert_ne!(settle(&[], 2).unwrap(), settle(&[], 2).unwrap());
        assert_eq!(settle(&[1, 2, 3], 2).unwrap(), [1, 2]);
    }
}
