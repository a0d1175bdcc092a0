//! A linking classifier: logistic regression over the features of a pair, trained on pairs whose truth is known.

use crate::attack::report::Counted;

const ROUNDS: usize = 300;
const RATE: f64 = 0.5;
const DECAY: f64 = 1e-4;

/// Pairs that belong together, and pairs that don't, as features.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) together: Vec<Vec<f64>>,
    pub(super) apart: Vec<Vec<f64>>,
}

/// Says whether a pair belongs together.
pub(super) struct Classifier {
    /// By feature: mean and standard deviation over the training pairs.
    scale: Vec<(f64, f64)>,
    weights: Vec<f64>,
    bias: f64,
    /// Scores above it belong together.
    threshold: f64,
}

impl Classifier {
    /// Fits the weights by gradient descent, then the threshold so that the training pairs are told apart best.
    pub(super) fn train(pairs: &Pairs) -> Self {
        let labelled = |rows: &[Vec<f64>], label: f64| -> Vec<(Vec<f64>, f64)> {
            rows.iter().map(|row| (row.clone(), label)).collect()
        };
        let mut rows = labelled(&pairs.together, 1.0);
        rows.extend(labelled(&pairs.apart, 0.0));
        let scale = scale_of(&rows);
        for (row, _) in &mut rows {
            standardise(row, &scale);
        }
        let mut made = Self {
            weights: vec![0.0; scale.len()],
            scale,
            bias: 0.0,
            threshold: 0.0,
        };
        let step = RATE / rows.len().max(1) as f64;
        for _ in 0..ROUNDS {
            let mut slope = vec![0.0; made.weights.len()];
            let mut bias_slope = 0.0;
            for (row, label) in &rows {
                let error = 1.0 / (1.0 + (-made.raw(row)).exp()) - label;
                bias_slope += error;
                for (sum, value) in slope.iter_mut().zip(row) {
                    *sum += error * value;
                }
            }
            made.bias -= step * bias_slope;
            for (weight, sum) in made.weights.iter_mut().zip(slope) {
                *weight -= step * sum + RATE * DECAY * *weight;
            }
        }
        made.threshold = made.best_threshold(&rows);
        made
    }

    fn raw(&self, standardised: &[f64]) -> f64 {
        let terms = self.weights.iter().zip(standardised);
        self.bias + terms.map(|(weight, value)| weight * value).sum::<f64>()
    }

    /// The threshold with the largest difference of true and false positive rates.
    fn best_threshold(&self, rows: &[(Vec<f64>, f64)]) -> f64 {
        let mut scores: Vec<(f64, f64)> = rows
            .iter()
            .map(|(row, label)| (self.raw(row), *label))
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let positives: f64 = scores.iter().map(|(_, label)| label).sum();
        let negatives = scores.len() as f64 - positives;
        let (mut seen, mut best, mut threshold) = ((0.0_f64, 0.0_f64), 0.0_f64, f64::INFINITY);
        for (at, (score, label)) in scores.iter().enumerate() {
            seen.0 += label;
            seen.1 += 1.0 - label;
            let next = scores.get(at + 1).map_or(f64::NEG_INFINITY, |next| next.0);
            let gain = seen.0 / positives.max(1.0) - seen.1 / negatives.max(1.0);
            // Equal scores fall on one side.
            if gain > best && next < *score {
                best = gain;
                threshold = if next.is_finite() {
                    (score + next) / 2.0
                } else {
                    score - 1.0
                };
            }
        }
        threshold
    }

    fn together(&self, row: &[f64]) -> bool {
        let mut row = row.to_vec();
        standardise(&mut row, &self.scale);
        self.raw(&row) > self.threshold
    }

    /// Of the pairs that belong together, and of those that don't, how many it takes to belong together.
    pub(super) fn test(&self, pairs: &Pairs) -> (Counted, Counted) {
        let count = |rows: &[Vec<f64>]| Counted::of(rows.iter().map(|row| self.together(row)));
        (count(&pairs.together), count(&pairs.apart))
    }
}

fn scale_of(rows: &[(Vec<f64>, f64)]) -> Vec<(f64, f64)> {
    let width = rows.first().map_or(0, |(row, _)| row.len());
    let count = rows.len().max(1) as f64;
    (0..width)
        .map(|at| {
            let mean = rows.iter().map(|(row, _)| row[at]).sum::<f64>() / count;
            let squares = rows.iter().map(|(row, _)| (row[at] - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            // A feature that never varies tells nothing.
            (mean, if deviation > 1e-9 { deviation } else { 1.0 })
        })
        .collect()
}

fn standardise(row: &mut [f64], scale: &[(f64, f64)]) {
    for (value, (mean, deviation)) in row.iter_mut().zip(scale) {
        *value = (*value - mean) / deviation;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::attack::world::rng;
    use rand::Rng;

    /// Pairs whose second feature leans on the truth by `lean`; the others are noise or constant.
    fn pairs(stream: u64, count: usize, lean: f64) -> Pairs {
        let mut rng = rng(1, stream);
        let mut of = |shift: f64| -> Vec<Vec<f64>> {
            (0..count)
                .map(|_| {
                    let noise = [rng.gen_range(0.0..1.0), rng.gen_range(0.0..1.0)];
                    vec![noise[0], noise[1] + shift, 3.0]
                })
                .collect()
        };
        Pairs {
            together: of(lean),
            apart: of(0.0),
        }
    }

    fn advantage(lean: f64) -> f64 {
        let made = Classifier::train(&pairs(1, 1_000, lean));
        let (positive, negative) = made.test(&pairs(2, 1_000, lean));
        (positive.rate() - negative.rate()).abs()
    }

    #[test]
    fn it_finds_what_is_there_and_nothing_else() {
        assert!(advantage(1.5) > 0.99, "a clear difference");
        let weak = advantage(0.3);
        assert!((0.2..0.4).contains(&weak), "a third of the range: {weak}");
        assert!(advantage(0.0) < 0.1, "noise");
    }
}
