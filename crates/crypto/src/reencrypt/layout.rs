//! The one MessagePack layout of each of Umbral's values.

/// A part of a layout.
#[derive(Clone, Copy)]
enum Part {
    /// The head of an array of so many elements, up to 15.
    Array(u8),
    /// A compressed point: binary of 33 bytes, the first 2 or 3.
    Point,
    /// Binary of so many bytes, up to 255.
    Bytes(u8),
    /// The boolean true.
    True,
}

impl Part {
    const fn len(self) -> usize {
        match self {
            Part::Array(_) | Part::True => 1,
            Part::Point => 2 + 33,
            Part::Bytes(len) => 2 + len as usize,
        }
    }

    fn matches(self, bytes: &[u8]) -> bool {
        match (self, bytes) {
            (Part::Array(count), [head]) => *head == 0x90 | count,
            (Part::True, [head]) => *head == 0xc3,
            (Part::Point, [0xc4, 33, tag, ..]) => matches!(tag, 2 | 3),
            (Part::Bytes(len), [0xc4, found, ..]) => *found == len,
            _ => false,
        }
    }
}

/// The parts of a value, in order.
pub(super) struct Layout(&'static [Part]);

impl Layout {
    /// `Capsule`: E, V, signature.
    pub(super) const CAPSULE: Layout =
        Layout(&[Part::Array(3), Part::Point, Part::Point, Part::Bytes(32)]);

    /// `KeyFrag`: parameters (u), id, key, precursor, proof. The proof: commitment, signature for the proxy,
    /// signature for the receiver, and that both keys are signed.
    pub(super) const KEY_FRAGMENT: Layout = Layout(&[
        Part::Array(5),
        Part::Array(1),
        Part::Point,
        Part::Bytes(32),
        Part::Bytes(32),
        Part::Point,
        Part::Array(5),
        Part::Point,
        Part::Bytes(64),
        Part::Bytes(64),
        Part::True,
        Part::True,
    ]);

    /// `CapsuleFrag`: E1, V1, id, precursor, proof. The proof: E2, V2, commitment, U2, signature, signature of
    /// the key fragment.
    pub(super) const CAPSULE_FRAGMENT: Layout = Layout(&[
        Part::Array(5),
        Part::Point,
        Part::Point,
        Part::Bytes(32),
        Part::Point,
        Part::Array(6),
        Part::Point,
        Part::Point,
        Part::Point,
        Part::Point,
        Part::Bytes(32),
        Part::Bytes(64),
    ]);

    /// Bytes of every value of the layout.
    pub(super) const fn len(&self) -> usize {
        let (mut total, mut at) = (0, 0);
        while at < self.0.len() {
            total += self.0[at].len();
            at += 1;
        }
        total
    }

    /// Whether bytes have this layout, and nothing after it.
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        for part in self.0 {
            let Some((head, tail)) = rest.split_at_checked(part.len()) else {
                return false;
            };
            if !part.matches(head) {
                return false;
            }
            rest = tail;
        }
        rest.is_empty()
    }
}
