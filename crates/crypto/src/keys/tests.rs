use super::*;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn small_key(scalar: u8) -> SecretKey {
    let mut bytes = [0u8; 32];
    bytes[31] = scalar;
    SecretKey::from_bytes(&bytes).unwrap()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// One line of <https://github.com/bitcoin/bips/blob/master/bip-0340/test-vectors.csv>.
struct Vector {
    index: u8,
    key: &'static str,
    message: &'static str,
    signature: &'static str,
    valid: bool,
}

const BIP340: &[Vector] = &[
    Vector {
        index: 0,
        key: "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        message: "0000000000000000000000000000000000000000000000000000000000000000",
        signature: "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215\
                    25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0",
        valid: true,
    },
    Vector {
        index: 1,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341\
                    8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
        valid: true,
    },
    Vector {
        index: 2,
        key: "dd308afec5777e13121fa72b9cc1b7cc0139715309b086c960e18fd969774eb8",
        message: "7e2d58d8b3bcdf1abadec7829054f90dda9805aab56c77333024b9d0a508b75c",
        signature: "5831aaeed7b44bb74e5eab94ba9d4294c49bcf2a60728d8b4c200f50dd313c1b\
                    ab745879a5ad954a72c45a91c3a51d3c7adea98d82f8481e0e1e03674a6f3fb7",
        valid: true,
    },
    Vector {
        index: 3,
        key: "25d1dff95105f5253c4022f628a996ad3a0d95fbf21d468a1b33f8c160d8f517",
        message: "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        signature: "7eb0509757e246f19449885651611cb965ecc1a187dd51b64fda1edc9637d5ec\
                    97582b9cb13db3933705b32ba982af5af25fd78881ebb32771fc5922efc66ea3",
        valid: true,
    },
    Vector {
        index: 4,
        key: "d69c3509bb99e412e68b0fe8544e72837dfa30746d8be2aa65975f29d22dc7b9",
        message: "4df3c3f68fcc83b27e9d42c90431a72499f17875c81a599b566c9889b9696703",
        signature: "00000000000000000000003b78ce563f89a0ed9414f5aa28ad0d96d6795f9c63\
                    76afb1548af603b3eb45c9f8207dee1060cb71c04e80f593060b07d28308d7f4",
        valid: true,
    },
    Vector {
        index: 5,
        key: "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769\
                    69e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b",
        valid: false,
    },
    Vector {
        index: 6,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556\
                    3cc27944640ac607cd107ae10923d9ef7a73c643e166be5ebeafa34b1ac553e2",
        valid: false,
    },
    Vector {
        index: 7,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "1fa62e331edbc21c394792d2ab1100a7b432b013df3f6ff4f99fcb33e0e1515f\
                    28890b3edb6e7189b630448b515ce4f8622a954cfe545735aaea5134fccdb2bd",
        valid: false,
    },
    Vector {
        index: 8,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769\
                    961764b3aa9b2ffcb6ef947b6887a226e8d7c93e00c5ed0c1834ff0d0c2e6da6",
        valid: false,
    },
    Vector {
        index: 9,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "0000000000000000000000000000000000000000000000000000000000000000\
                    123dda8328af9c23a94c1feecfd123ba4fb73476f0d594dcb65c6425bd186051",
        valid: false,
    },
    Vector {
        index: 10,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "0000000000000000000000000000000000000000000000000000000000000001\
                    7615fbaf5ae28864013c099742deadb4dba87f11ac6754f93780d5a1837cf197",
        valid: false,
    },
    Vector {
        index: 11,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "4a298dacae57395a15d0795ddbfd1dcb564da82b0f269bc70a74f8220429ba1d\
                    69e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b",
        valid: false,
    },
    Vector {
        index: 12,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f\
                    69e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b",
        valid: false,
    },
    Vector {
        index: 13,
        key: "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769\
                    fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        valid: false,
    },
    Vector {
        index: 14,
        key: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
        message: "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        signature: "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769\
                    69e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b",
        valid: false,
    },
];

#[test]
fn bip340_verification_vectors() {
    for vector in BIP340 {
        let mut key = vec![2u8];
        key.extend(hex::decode(vector.key).unwrap());
        let signature = Signature(array(vector.signature));
        let valid = PublicKey::from_bytes(&key).is_ok_and(|key| {
            key.verify_digest(&array(vector.message), &signature)
                .is_ok()
        });
        assert_eq!(valid, vector.valid, "vector {}", vector.index);
    }
}

/// Vector 0 is the one whose auxiliary randomness is zero, as ours is.
#[test]
fn bip340_signing_vector() {
    let key = small_key(3);
    assert_eq!(hex::encode(&key.public().to_bytes()[1..]), BIP340[0].key);
    assert_eq!(
        key.sign_digest(&array(BIP340[0].message)).to_string(),
        BIP340[0].signature
    );
}

/// Computed by an independent implementation of the framing and of BIP-340: keys with an even and an odd y.
#[test]
fn signatures_keep_their_values() {
    for (scalar, public, signature) in [
        (
            3,
            "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
            "dc79a01d433112c15b6f399b5bec7b5ed21b7c5a66068e5fd97ab25551e5b0a9\
             3eb9a2dc7f703fbeb5091e7f9fbde7114dfc366a8f976473f8146a9c75cbf91e",
        ),
        (
            6,
            "03fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556",
            "ab66a0c48f38e5851daabfc87930085c3bddb0c7a0ba77b4e1d418d861cfacdf\
             83ee76fedea945ff6e336d23f000d5addd6ee8af15f814361f0bcb477eb6f208",
        ),
    ] {
        let key = small_key(scalar);
        assert_eq!(key.public().to_string(), public);
        assert_eq!(key.sign(domain::ANCHOR, b"hello").to_string(), signature);
        assert!(
            key.public()
                .verify(domain::ANCHOR, b"hello", &signature.parse().unwrap())
                .is_ok()
        );
    }
}

#[test]
fn derivation_keeps_its_value() {
    let key = SecretKey::derive(domain::DELEGATE, b"ikm", &[b"a", b"bc"]);
    assert_eq!(
        hex::encode(&key.to_bytes()[..]),
        "0357ad7b73916457c15270fd0d0d5ea00e9831f70e3c14b7f0f4b4057e7b460c"
    );
    assert_eq!(
        key.public().to_string(),
        "03f7ff7f94ff13bbe60cc54733f5c0e80162d0fae0509f71ff9b2bf5f9488b92d3"
    );
}

#[test]
fn hospital_id_keeps_its_value() {
    let id = HospitalId::from_identity(&small_key(3).public());
    assert_eq!(
        id.to_string(),
        "bc7a9834490b3eeff3e6f4f0592ecd542dbeee04bd530ecb07077b05553f4cf5"
    );
    assert_eq!(id.short(), "bc7a9834");
    assert_eq!(id.to_string().parse::<HospitalId>(), Ok(id));
}

/// BIP-340 alone accepts a signature under the negated key; the key inside the hash refuses it.
#[test]
fn the_negated_key_is_another_signer() {
    let key = small_key(3);
    let negated = SecretKey::from_scalar(-key.scalar()).unwrap();
    assert_eq!(
        key.public().as_bytes()[1..],
        negated.public().as_bytes()[1..]
    );
    let signature = key.sign(domain::ANCHOR, b"hello");
    assert!(
        key.public()
            .verify(domain::ANCHOR, b"hello", &signature)
            .is_ok()
    );
    assert_eq!(
        negated
            .public()
            .verify(domain::ANCHOR, b"hello", &signature),
        Err(BadSignature)
    );
}

#[test]
fn bad_keys_are_refused() {
    assert!(SecretKey::from_bytes(&[0; 32]).is_err());
    assert!(SecretKey::from_bytes(&[0xff; 32]).is_err());
    assert!(SecretKey::from_scalar(Scalar::ZERO).is_err());
    assert_eq!(
        PublicKey::from_point(ProjectivePoint::IDENTITY),
        Err(BadPublicKey)
    );
    let good = small_key(3).public().to_bytes();
    assert!(PublicKey::from_bytes(&good).is_ok());
    assert!(PublicKey::from_bytes(&good[..32]).is_err());
    assert!(PublicKey::from_bytes(&[]).is_err());
    assert!(PublicKey::from_bytes(&[0; 33]).is_err());
    for tag in [0u8, 1, 4, 5, 6, 0xff] {
        let mut bytes = good;
        bytes[0] = tag;
        assert!(PublicKey::from_bytes(&bytes).is_err(), "tag {tag}");
        assert!(borsh::from_slice::<PublicKey>(&bytes).is_err(), "tag {tag}");
    }
    // x = 5 has no y on the curve; x = p is not reduced.
    let mut off_curve = [0u8; 33];
    (off_curve[0], off_curve[32]) = (2, 5);
    assert!(PublicKey::from_bytes(&off_curve).is_err());
    let beyond = array::<33>("02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");
    assert!(PublicKey::from_bytes(&beyond).is_err());
    assert!(serde_json::from_str::<PublicKey>(&format!("\"{}\"", hex::encode(off_curve))).is_err());
}

#[test]
fn secrets_do_not_print() {
    assert_eq!(format!("{:?}", small_key(3)), "SecretKey(..)");
}

#[test]
fn text_forms_round_trip() {
    let key = small_key(9);
    let json = serde_json::to_string(&key.public()).unwrap();
    assert_eq!(
        serde_json::from_str::<PublicKey>(&json).unwrap(),
        key.public()
    );
    let signature = key.sign(domain::TX, b"x");
    let json = serde_json::to_string(&signature).unwrap();
    assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
    assert_eq!(
        borsh::from_slice::<PublicKey>(&borsh::to_vec(&key.public()).unwrap()).unwrap(),
        key.public()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sign_verify_and_every_change_refused(
        seed in any::<u64>(),
        message in prop::collection::vec(any::<u8>(), 0..80),
        at in 0usize..64,
        bit in 0u8..8,
    ) {
        let key = SecretKey::generate(&mut rng(seed));
        let signature = key.sign(domain::GRANT, &message);
        let public = key.public();
        prop_assert!(public.verify(domain::GRANT, &message, &signature).is_ok());
        prop_assert_eq!(key.sign(domain::GRANT, &message), signature);
        prop_assert!(public.verify(domain::REVOKE, &message, &signature).is_err());
        let mut longer = message.clone();
        longer.push(0);
        prop_assert!(public.verify(domain::GRANT, &longer, &signature).is_err());
        let mut flipped = signature;
        flipped.0[at] ^= 1 << bit;
        prop_assert!(public.verify(domain::GRANT, &message, &flipped).is_err());
        let other = SecretKey::generate(&mut rng(seed.wrapping_add(1)));
        prop_assert!(other.public().verify(domain::GRANT, &message, &signature).is_err());
    }

    #[test]
    fn shared_points_agree(a in any::<u64>(), b in any::<u64>()) {
        let (x, y) = (SecretKey::generate(&mut rng(a)), SecretKey::generate(&mut rng(b)));
        prop_assert_eq!(x.shared_point(&y.public()), y.shared_point(&x.public()));
    }

    #[test]
    fn bytes_round_trip(seed in any::<u64>()) {
        let key = SecretKey::generate(&mut rng(seed));
        let again = SecretKey::from_bytes(&key.to_bytes()).unwrap();
        prop_assert_eq!(again.public(), key.public());
        let point = key.public().point();
        prop_assert_eq!(PublicKey::from_point(point).unwrap(), key.public());
        prop_assert_eq!(PublicKey::from_point(&point).unwrap(), key.public());
    }

    #[test]
    fn any_33_bytes_are_a_point_or_refused(bytes in prop::array::uniform32(any::<u8>()), odd in any::<bool>()) {
        let mut encoded = [0u8; 33];
        encoded[0] = 2 + u8::from(odd);
        encoded[1..].copy_from_slice(&bytes);
        if let Ok(key) = PublicKey::from_bytes(&encoded) {
            prop_assert_eq!(PublicKey::from_point(key.point()).unwrap(), key);
        }
    }
}
