//! Random number generators for `blind-rsa-signatures`, which wants the traits of rand_core 0.10 where the rest of
//! the workspace has those of 0.6.

use blind_rsa_signatures::reexports::rsa::rand_core::{TryCryptoRng, TryRng};
use rand_core::{CryptoRng, RngCore};
use std::convert::Infallible;
use zeroize::{Zeroize, Zeroizing};

use crate::domain;
use crate::hash::prf;

/// A generator of rand_core 0.6 as one of 0.10.
pub struct RngAdapter<'r, R>(pub &'r mut R);

impl<R: CryptoRng + RngCore> TryRng for RngAdapter<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(dst);
        Ok(())
    }
}

impl<R: CryptoRng + RngCore> TryCryptoRng for RngAdapter<'_, R> {}

/// A generator derived from a secret and a message: block n is PRF(PRF(secret; message); n).
pub(super) struct DerivedRng {
    key: Zeroizing<[u8; 32]>,
    block: Zeroizing<[u8; 32]>,
    used: usize,
    next: u64,
}

impl DerivedRng {
    pub(super) fn new(secret: &[u8; 32], message: &[u8]) -> Self {
        DerivedRng {
            key: Zeroizing::new(prf(secret, domain::TOKEN_BLINDING, &[message])),
            block: Zeroizing::new([0; 32]),
            used: 32,
            next: 0,
        }
    }

    fn fill(&mut self, dst: &mut [u8]) {
        for byte in dst {
            if self.used == 32 {
                self.block.zeroize();
                *self.block = prf(
                    &self.key,
                    domain::TOKEN_BLINDING,
                    &[&self.next.to_le_bytes()],
                );
                self.next += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}

impl TryRng for DerivedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0u8; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0u8; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.fill(dst);
        Ok(())
    }
}

impl TryCryptoRng for DerivedRng {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_depends_on_secret_and_message_only() {
        let stream = |secret: u8, message: &[u8], chunks: &[usize]| {
            let mut rng = DerivedRng::new(&[secret; 32], message);
            let mut out = Vec::new();
            for chunk in chunks {
                let mut bytes = vec![0u8; *chunk];
                rng.fill(&mut bytes);
                out.extend(bytes);
            }
            out
        };
        let whole = stream(1, b"m", &[100]);
        assert_eq!(whole, stream(1, b"m", &[1, 31, 33, 35]));
        assert_ne!(whole, stream(2, b"m", &[100]));
        assert_ne!(whole, stream(1, b"n", &[100]));
        assert_ne!(whole[..32], whole[32..64]);
    }
}
