//! What a linking classifier looks at: every public field of two objects, byte by byte, side by side and across.

use std::collections::BTreeSet;

/// The public parts of one object. Objects that are compared have the same fields in the same order.
#[derive(Clone, Debug, Default)]
pub(super) struct Public {
    /// Keys, hashes, ciphertexts, salts: anything that ought to look random.
    fields: Vec<Vec<u8>>,
    /// Counts, sizes, times.
    numbers: Vec<f64>,
    /// Members of a set: a record's tags, a cover's seeds.
    members: BTreeSet<[u8; 16]>,
    /// All runs of four bytes in the fields, ascending and distinct.
    runs: Vec<u32>,
}

/// Features of a field, of a number, and of the rest.
const OF_A_FIELD: usize = 5;
const OF_A_NUMBER: usize = 2;
const OF_THE_REST: usize = 3;

impl Public {
    pub(super) fn new(
        fields: Vec<Vec<u8>>,
        numbers: Vec<f64>,
        members: impl IntoIterator<Item = [u8; 16]>,
    ) -> Self {
        let mut runs: Vec<u32> = fields
            .iter()
            .flat_map(|field| field.windows(4))
            .map(|run| {
                run.iter()
                    .fold(0, |number, byte| (number << 8) | u32::from(*byte))
            })
            .collect();
        runs.sort_unstable();
        runs.dedup();
        Self {
            fields,
            numbers,
            members: members.into_iter().collect(),
            runs,
        }
    }

    /// Whether a value that ought to be unique stands in both: a field of 16 bytes or more, or a member.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let unique = |public: &Self| -> BTreeSet<Vec<u8>> {
            let long = public.fields.iter().filter(|field| field.len() >= 16);
            long.cloned().collect()
        };
        !unique(self).is_disjoint(&unique(other)) || !self.members.is_disjoint(&other.members)
    }

    /// The features of a pair.
    ///
    /// - Of each field: whether it is equal; the share of equal bits and of equal bytes; how far the first and the
    ///   last bytes are apart.
    /// - Of each number: whether it is equal, and how far apart on a logarithmic scale.
    /// - How many runs of four bytes the objects share anywhere; how many members of their sets, and how close the
    ///   closest two members come (in leading bits).
    pub(super) fn beside(&self, other: &Self) -> Vec<f64> {
        let mut features = Vec::with_capacity(
            OF_A_FIELD * self.fields.len() + OF_A_NUMBER * self.numbers.len() + OF_THE_REST,
        );
        for (a, b) in self.fields.iter().zip(&other.fields) {
            features.extend(of_field(a, b));
        }
        for (a, b) in self.numbers.iter().zip(&other.numbers) {
            let apart = (a.max(0.0).ln_1p() - b.max(0.0).ln_1p()).abs();
            features.extend([flag((a - b).abs() < f64::EPSILON), apart]);
        }
        let shared = self
            .runs
            .iter()
            .filter(|run| other.runs.binary_search(run).is_ok());
        features.push((shared.count() as f64).ln_1p());
        features.push(self.members.intersection(&other.members).count() as f64);
        features.push(closest(&self.members, &other.members));
        features
    }
}

fn of_field(a: &[u8], b: &[u8]) -> [f64; OF_A_FIELD] {
    let length = a.len().min(b.len()).max(1) as f64;
    let pairs = || a.iter().zip(b);
    let bits: u32 = pairs().map(|(a, b)| (a ^ b).count_zeros()).sum();
    let bytes = pairs().filter(|(a, b)| a == b).count();
    let apart = |a: Option<&u8>, b: Option<&u8>| match (a, b) {
        (Some(a), Some(b)) => f64::from(a.abs_diff(*b)),
        _ => 0.0,
    };
    [
        flag(a == b),
        f64::from(bits) / (8.0 * length),
        bytes as f64 / length,
        apart(a.first(), b.first()),
        apart(a.last(), b.last()),
    ]
}

/// Most leading bits that a member of one set shares with one of the other.
fn closest(a: &BTreeSet<[u8; 16]>, b: &BTreeSet<[u8; 16]>) -> f64 {
    let number = |member: &[u8; 16]| u128::from_be_bytes(*member);
    let nearest = a.iter().flat_map(|member| {
        // The longest common prefix is with a neighbour in order.
        let neighbours = [b.range(*member..).next(), b.range(..*member).next_back()];
        neighbours
            .into_iter()
            .flatten()
            .map(move |near| (number(member) ^ number(near)).leading_zeros())
    });
    nearest.max().map_or(0.0, f64::from)
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn public(field: &[u8], number: f64, members: &[u8]) -> Public {
        let members = members.iter().map(|first| {
            let mut member = [0u8; 16];
            member[0] = *first;
            member
        });
        Public::new(vec![field.to_vec()], vec![number], members)
    }

    #[test]
    fn every_likeness_shows() {
        let one = public(b"\x00\x01\x02\x03\x04", 7.0, &[0x80, 0x10]);
        let same = one.beside(&one);
        assert_eq!(same[..5], [1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(same[5..7], [1.0, 0.0]);
        assert!(
            (same[7] - 2.0_f64.ln_1p()).abs() < 1e-12,
            "two runs of four bytes"
        );
        assert_eq!(same[8..], [2.0, 128.0]);

        let other = one.beside(&public(b"\xff\x01\x02\x03\x05", 8.0, &[0x90, 0x40]));
        assert_eq!((other[0], other[3], other[4]), (0.0, 255.0, 1.0));
        assert!((other[2] - 0.6).abs() < 1e-12);
        assert!(other[5] < 0.5 && other[6] > 0.1);
        assert_eq!(
            other[7..],
            [0.0, 0.0, 3.0],
            "0x80 and 0x90 share three bits"
        );

        assert!(one.repeats(&public(b"other", 0.0, &[0x10])), "a member");
        assert!(
            !one.repeats(&public(b"\x00\x01\x02\x03\x04", 0.0, &[])),
            "a short field"
        );
        let long = public(b"sixteen bytes, 16", 0.0, &[]);
        assert!(long.repeats(&long));

        // Shifted bytes are found across.
        let shifted = one.beside(&public(b"\x09\x09\x01\x02\x03\x04", 7.0, &[]));
        assert!(shifted[7] > 0.5);
    }
}
