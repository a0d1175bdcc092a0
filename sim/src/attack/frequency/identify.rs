//! Which record on the chain is the one that I know? It has as many tags.

use crate::attack::report::Counted;
use crate::attack::world::shuffled;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

/// For each record the attacker draws one of its pool that has the same number. `numbers` are split into pools of
/// `size` at random. The second value is the chance level.
pub(super) fn by_number(rng: &mut ChaCha20Rng, numbers: &[usize], size: usize) -> (Counted, f64) {
    let order: Vec<usize> = shuffled(rng, (0..numbers.len()).collect());
    let (mut counted, mut chance) = (Counted::default(), 0.0);
    for pool in order.chunks(size.max(1)) {
        for record in pool {
            let alike: Vec<usize> = pool
                .iter()
                .copied()
                .filter(|other| numbers[*other] == numbers[*record])
                .collect();
            counted.note(alike.choose(rng) == Some(record));
            chance += 1.0 / pool.len() as f64;
        }
    }
    (counted, chance / counted.trials.max(1) as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::attack::world::rng;

    #[test]
    fn distinct_numbers_identify_and_equal_ones_do_not() {
        let mut rng = rng(1, 0);
        let distinct: Vec<usize> = (0..100).collect();
        let (counted, chance) = by_number(&mut rng, &distinct, 100);
        assert_eq!((counted.successes, counted.trials), (100, 100));
        assert!((chance - 0.01).abs() < 1e-9);
        let (counted, _) = by_number(&mut rng, &[8; 1_000], 1_000);
        assert_eq!(counted.trials, 1_000);
        assert!(counted.successes < 20, "{}", counted.successes);
        let (counted, chance) = by_number(&mut rng, &[8; 40], 1);
        assert_eq!(counted.successes, 40, "a pool of one");
        assert!((chance - 1.0).abs() < 1e-9);
    }
}
