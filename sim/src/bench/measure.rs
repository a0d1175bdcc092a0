//! Percentiles, and the machine that the numbers hold for.

use serde::Serialize;
use std::time::Duration;

/// The value that `percent` % of the values do not exceed (nearest rank); zero of none.
pub(crate) fn percentile<T: Copy + Ord + Default>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The middle value.
pub(crate) fn median<T: Copy + Ord + Default>(values: &[T]) -> T {
    percentile(values, 50)
}

/// Milliseconds, to a tenth of a microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3, 4)
}

/// Seconds, to a millisecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64(), 3)
}

/// To so many decimals.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    (value * unit).round() / unit
}

/// What a number depends on beside the code.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// As the operating system names it; empty where it does not tell.
    pub(crate) cpu: String,
    /// Threads that it runs at once.
    pub(crate) cores: usize,
    /// Whether the program was built with optimisation: `release` or `debug`.
    pub(crate) build: &'static str,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = told
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim() == "model name")
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        Self { cpu, cores, build }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = [40, 10, 30, 20];
        assert_eq!(median(&values), 20);
        assert_eq!(percentile(&values, 75), 30);
        assert_eq!(percentile(&values, 99), 40);
        assert_eq!(percentile(&values, 0), 10);
        assert_eq!(percentile::<u64>(&[], 50), 0);
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((median(&hundred), percentile(&hundred, 99)), (50, 99));
    }

    #[test]
    fn times_keep_what_a_short_search_takes() {
        assert_eq!(millis(Duration::from_nanos(1_234_567)), 1.2346);
        assert_eq!(seconds(Duration::from_micros(1_234_567)), 1.235);
    }
}
