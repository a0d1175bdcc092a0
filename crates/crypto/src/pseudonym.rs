//! Meta-addresses and one-time pseudonyms (DESIGN 3.2): the ERC-5564 stealth-address construction, scheme 1.
//!
//! Notation: v, s view and spend scalars; V = vG, S = sG; r ephemeral scalar, R = rG; z the scalar that the
//! author and the patient both compute from rV = vR; P = S + zG the pseudonym, p = s + z its secret.
//!
//! Only the published values live here. Making a pseudonym is the author's part and recognising one the
//! patient's; both are in `caduceus-custody`.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base32;
use crate::domain;
use crate::hash::hash;
use crate::keys::PublicKey;
use crate::pairing::{G1_BYTES, SchemeKey};

const PREFIX: &str = "cadmeta1";
const CHECK_BYTES: usize = 4;
const KEYS_BYTES: usize = 33 + 33;
const PAYLOAD_BYTES: usize = KEYS_BYTES + CHECK_BYTES;
const INDEXED_PAYLOAD_BYTES: usize = KEYS_BYTES + G1_BYTES + CHECK_BYTES;

/// The public keys to which records are addressed: two, and a third where the network's index scheme needs one.
/// Text form: `cadmeta1`, then lower-case base 32 of V, S, the third key if there is one, and a 4-byte checksum.
///
/// # Leakage
/// Whoever has it can make pseudonyms for the patient, and can recognise none. It is the same at every
/// hospital, so hospitals that compare theirs know that they treat the same person. What its third key allows,
/// [`crate::index::peks`] and [`crate::index::paeks`] say.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct MetaAddress {
    /// V.
    pub view: PublicKey,
    /// S.
    pub spend: PublicKey,
    /// The receiver's key of the index scheme; none under epoch tags.
    pub index: Option<SchemeKey>,
}

impl MetaAddress {
    /// The address of two keys, without one of an index scheme.
    pub const fn new(view: PublicKey, spend: PublicKey) -> Self {
        MetaAddress {
            view,
            spend,
            index: None,
        }
    }

    /// V, S, and the third key if there is one: what a checksum or a check value covers.
    pub(crate) fn key_fields(&self) -> impl Iterator<Item = &[u8]> {
        let both = [&self.view.as_bytes()[..], &self.spend.as_bytes()[..]];
        both.into_iter()
            .chain(self.index.as_ref().map(|key| &key.as_bytes()[..]))
    }

    fn checksum(&self) -> [u8; CHECK_BYTES] {
        let fields: Vec<&[u8]> = self.key_fields().collect();
        checksum(&fields)
    }
}

fn checksum(keys: &[&[u8]]) -> [u8; CHECK_BYTES] {
    let digest = hash(domain::META_ADDRESS, keys);
    let mut out = [0u8; CHECK_BYTES];
    out.copy_from_slice(&digest.as_bytes()[..CHECK_BYTES]);
    out
}

/// Why a text is not a meta-address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaAddressError {
    /// Does not begin with `cadmeta1`.
    #[error("a meta-address begins with cadmeta1")]
    Prefix,
    /// Wrong length, or a character that does not occur in one.
    #[error("the meta-address has a wrong length or a foreign character")]
    Malformed,
    /// A character is wrong.
    #[error("the meta-address has a typing error")]
    Checksum,
    /// The checksum holds, but a key is not a point of its curve.
    #[error("the meta-address holds no valid keys")]
    Keys,
}

impl fmt::Display for MetaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut payload: Vec<u8> = self.key_fields().flatten().copied().collect();
        payload.extend_from_slice(&self.checksum());
        f.pad(&format!(
            "{PREFIX}{}",
            base32::encode(&payload).to_ascii_lowercase()
        ))
    }
}

impl FromStr for MetaAddress {
    type Err = MetaAddressError;

    /// Reads either case, and nothing else that is not exactly the text form. The length tells whether there is a
    /// third key.
    fn from_str(text: &str) -> Result<Self, MetaAddressError> {
        let lower = text.to_ascii_lowercase();
        let symbols = lower.strip_prefix(PREFIX).ok_or(MetaAddressError::Prefix)?;
        // The letters that base 32 forgives would give one address several texts.
        if symbols.contains(['i', 'l', 'o']) {
            return Err(MetaAddressError::Malformed);
        }
        if let Some(payload) = base32::decode::<PAYLOAD_BYTES>(symbols) {
            return from_payload(&payload[..KEYS_BYTES], None, &payload[KEYS_BYTES..]);
        }
        let payload =
            base32::decode::<INDEXED_PAYLOAD_BYTES>(symbols).ok_or(MetaAddressError::Malformed)?;
        let (keys, rest) = payload.split_at(KEYS_BYTES);
        let (index, check) = rest
            .split_first_chunk::<G1_BYTES>()
            .ok_or(MetaAddressError::Malformed)?;
        from_payload(keys, Some(index), check)
    }
}

/// The address of a text's bytes: V and S, the third key, the checksum.
fn from_payload(
    keys: &[u8],
    index: Option<&[u8; G1_BYTES]>,
    check: &[u8],
) -> Result<MetaAddress, MetaAddressError> {
    let (view, spend) = keys.split_at(33);
    let mut fields = vec![view, spend];
    fields.extend(index.map(|index| &index[..]));
    if *check != checksum(&fields) {
        return Err(MetaAddressError::Checksum);
    }
    let bad_keys = MetaAddressError::Keys;
    Ok(MetaAddress {
        view: PublicKey::from_bytes(view).map_err(|_| bad_keys)?,
        spend: PublicKey::from_bytes(spend).map_err(|_| bad_keys)?,
        index: index
            .map(SchemeKey::from_bytes)
            .transpose()
            .map_err(|_| bad_keys)?,
    })
}

impl Serialize for MetaAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MetaAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse::<MetaAddress>()
            .map_err(serde::de::Error::custom)
    }
}

/// The published part of a one-time pseudonym: one record's owner, to all who lack v.
///
/// # Leakage
/// Two pseudonyms of one patient share nothing. The view tag tells an observer nothing, and lets the patient
/// skip 255 of 256 records that are not hers without a point multiplication more.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Pseudonym {
    /// P: signs for the record, and nothing else.
    pub point: PublicKey,
    /// R.
    pub ephemeral: PublicKey,
    /// First byte of H("view-tag"; rV).
    pub view_tag: u8,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{decode_exact, encode};
    use crate::keys::{HospitalId, SecretKey};
    use crate::pairing::PairingSecret;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn meta(seed: u64) -> (SecretKey, SecretKey, MetaAddress) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (view, spend) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
        let meta = MetaAddress::new(view.public(), spend.public());
        (view, spend, meta)
    }

    /// The same with a key of an index scheme.
    fn indexed(seed: u64) -> MetaAddress {
        let secret = PairingSecret::derive(domain::PEKS_KEY, &seed.to_le_bytes(), &[]);
        MetaAddress {
            index: Some(secret.scheme_key()),
            ..meta(seed).2
        }
    }

    /// The algebra of ERC-5564, scheme 1: both sides reach one point, and its secret signs under it.
    #[test]
    fn author_and_patient_reach_the_same_pseudonym() {
        let (view, spend, meta) = meta(1);
        let hospital = HospitalId([7; 32]);
        let r = SecretKey::generate(&mut ChaCha20Rng::seed_from_u64(2));
        let ephemeral = r.public();
        let z = |shared: &[u8; 33]| {
            let fields: [&[u8]; 5] = [
                hospital.as_bytes(),
                ephemeral.as_bytes(),
                meta.view.as_bytes(),
                meta.spend.as_bytes(),
                shared,
            ];
            SecretKey::derive(domain::PSEUDONYM, b"", &fields)
        };
        let authors = z(&r.shared_point(&meta.view));
        let patients = z(&view.shared_point(&ephemeral));
        assert_eq!(authors.public(), patients.public());
        let point = PublicKey::from_point(meta.spend.point() + authors.public().point()).unwrap();
        let secret = SecretKey::from_scalar(spend.scalar() + patients.scalar()).unwrap();
        assert_eq!(secret.public(), point);
        let signature = secret.sign(domain::GRANT, b"mine");
        assert!(point.verify(domain::GRANT, b"mine", &signature).is_ok());
    }

    #[test]
    fn text_form() {
        let (_, _, meta) = meta(3);
        let text = meta.to_string();
        assert!(text.starts_with(PREFIX));
        assert_eq!(text.len(), PREFIX.len() + 112);
        assert_eq!(text.parse::<MetaAddress>(), Ok(meta));
        assert_eq!(text.to_uppercase().parse::<MetaAddress>(), Ok(meta));
        assert_eq!(
            "cadmeta2".parse::<MetaAddress>(),
            Err(MetaAddressError::Prefix)
        );
        assert_eq!(
            "cadmeta1".parse::<MetaAddress>(),
            Err(MetaAddressError::Malformed)
        );
        assert_eq!(
            format!("{text} ").parse::<MetaAddress>(),
            Err(MetaAddressError::Malformed)
        );
        let json = serde_json::to_string(&meta).unwrap();
        assert_eq!(serde_json::from_str::<MetaAddress>(&json).unwrap(), meta);
    }

    #[test]
    fn text_form_with_a_key_of_an_index_scheme() {
        let meta = indexed(3);
        let text = meta.to_string();
        assert!(text.starts_with(PREFIX));
        assert_eq!(text.len(), PREFIX.len() + 189);
        assert_eq!(text.parse::<MetaAddress>(), Ok(meta));
        assert_eq!(text.to_uppercase().parse::<MetaAddress>(), Ok(meta));
        let plain = MetaAddress {
            index: None,
            ..meta
        };
        assert_eq!(plain.to_string().parse::<MetaAddress>(), Ok(plain));
        assert_ne!(plain.checksum(), meta.checksum());
        for cut in PREFIX.len()..text.len() {
            assert!(text[..cut].parse::<MetaAddress>().is_err(), "{cut}");
        }
        let json = serde_json::to_string(&meta).unwrap();
        assert_eq!(serde_json::from_str::<MetaAddress>(&json).unwrap(), meta);
    }

    #[test]
    fn on_the_wire_the_third_key_is_optional_and_checked() {
        let (plain, indexed) = (meta(4).2, indexed(4));
        assert_eq!(encode(&plain).len(), 67);
        let mut bytes = encode(&indexed);
        assert_eq!(bytes.len(), 67 + 48);
        assert_eq!(decode_exact::<MetaAddress>(&bytes, 200), Ok(indexed));
        bytes[67] &= 0x7f;
        assert!(decode_exact::<MetaAddress>(&bytes, 200).is_err());
        bytes.truncate(67);
        assert!(decode_exact::<MetaAddress>(&bytes, 200).is_err());
    }

    #[test]
    fn a_text_with_a_good_checksum_over_no_point_is_refused() {
        let text = |keys: &[&[u8]]| {
            let mut payload = keys.concat();
            payload.extend_from_slice(&checksum(keys));
            format!("{PREFIX}{}", base32::encode(&payload))
        };
        let good = indexed(5);
        let fields: Vec<&[u8]> = good.key_fields().collect();
        assert_eq!(text(&fields).parse::<MetaAddress>(), Ok(good));
        let bad = [5u8; 48];
        for at in 0..3 {
            let mut fields = fields.clone();
            fields[at] = &bad[..fields[at].len()];
            assert_eq!(
                text(&fields).parse::<MetaAddress>(),
                Err(MetaAddressError::Keys)
            );
            if at < 2 {
                assert_eq!(
                    text(&fields[..2]).parse::<MetaAddress>(),
                    Err(MetaAddressError::Keys)
                );
            }
        }
        // The checksum covers the third key too.
        let mut payload = fields.concat();
        payload.extend_from_slice(&checksum(&fields[..2]));
        let text = format!("{PREFIX}{}", base32::encode(&payload));
        assert_eq!(text.parse::<MetaAddress>(), Err(MetaAddressError::Checksum));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_changed_character_is_refused(seed in 0u64..8, at in 8usize..120, new in "[0-9a-z]") {
            let (_, _, meta) = meta(seed);
            let mut text = meta.to_string();
            prop_assume!(text[at..=at] != new);
            text.replace_range(at..=at, &new);
            prop_assert!(text.parse::<MetaAddress>().is_err());
        }

        #[test]
        fn a_changed_character_of_a_text_with_three_keys_is_refused(at in 8usize..197, new in "[0-9a-z]") {
            let mut text = indexed(6).to_string();
            prop_assume!(text[at..=at] != new);
            text.replace_range(at..=at, &new);
            prop_assert!(text.parse::<MetaAddress>().is_err());
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "(cadmeta1)?.{0,210}") {
            if let Ok(meta) = text.parse::<MetaAddress>() {
                prop_assert_eq!(meta.to_string(), text.to_ascii_lowercase());
            }
        }
    }
}
