//! Bytes of what consensus writes to its log and sends to its peers: borsh, all input consumed, bounded.

use super::context::{BftAddress, BftHeight, BftPart, Ctx};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use caduceus_crypto::{Hash, Signature};
use malachitebft_app_channel::app::consensus::LivenessMsg;
use malachitebft_app_channel::app::types::codec::{Codec, HasEncodedLen};
use malachitebft_app_channel::app::types::core::{
    ExtendedCommitCertificate, ExtendedCommitSignature, PolkaCertificate, Round, ValidatorProof,
};
use malachitebft_app_channel::app::types::streaming::StreamMessage;
use malachitebft_app_channel::app::types::sync::{RawDecidedValue, Request, Response, Status};
use malachitebft_app_channel::app::types::{ProposedValue, SignedConsensusMsg};
use malachitebft_sync::ValueResponse;

/// Largest message of any kind: a sync response.
const MAX_MESSAGE_BYTES: usize = 10 * 1024 * 1024;

/// The codec; see the module.
#[derive(Clone, Copy, Debug)]
pub struct BorshCodec;

/// Why a message does not decode.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Longer than any message may be.
    #[error("message of {0} bytes is too long")]
    TooLong(usize),
    /// Not borsh of the expected type.
    #[error("malformed message: {0}")]
    Malformed(#[from] std::io::Error),
}

fn decode<T: BorshDeserialize>(bytes: &Bytes) -> Result<T, CodecError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLong(bytes.len()));
    }
    Ok(borsh::from_slice(bytes)?)
}

fn encode<T: BorshSerialize>(value: &T) -> Result<Bytes, CodecError> {
    Ok(borsh::to_vec(value)?.into())
}

macro_rules! plain {
    ($($t:ty),* $(,)?) => {$(
        impl Codec<$t> for BorshCodec {
            type Error = CodecError;

            fn decode(&self, bytes: Bytes) -> Result<$t, CodecError> {
                decode(&bytes)
            }

            fn encode(&self, message: &$t) -> Result<Bytes, CodecError> {
                encode(message)
            }
        }
    )*};
}

plain!(
    SignedConsensusMsg<Ctx>,
    ProposedValue<Ctx>,
    PolkaCertificate<Ctx>,
    BftPart,
    StreamMessage<BftPart>,
    LivenessMsg<Ctx>,
    Status<Ctx>,
    Request<Ctx>,
);

type ProofBytes = (Vec<u8>, Vec<u8>, Signature);

impl Codec<ValidatorProof<Ctx>> for BorshCodec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<ValidatorProof<Ctx>, CodecError> {
        let (public_key, peer_id, signature): ProofBytes = decode(&bytes)?;
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }

    fn encode(&self, proof: &ValidatorProof<Ctx>) -> Result<Bytes, CodecError> {
        encode(&(&proof.public_key, &proof.peer_id, &proof.signature))
    }
}

/// A decided value on the wire: block bytes, then the certificate.
#[derive(BorshSerialize, BorshDeserialize)]
struct Decided {
    block: Vec<u8>,
    height: BftHeight,
    round: Round,
    value: Hash,
    signatures: Vec<(BftAddress, Signature)>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Values {
    start: BftHeight,
    values: Vec<Decided>,
}

impl Codec<Response<Ctx>> for BorshCodec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Response<Ctx>, CodecError> {
        let values: Values = decode(&bytes)?;
        let raw = values
            .values
            .into_iter()
            .map(|decided| RawDecidedValue {
                value_bytes: decided.block.into(),
                certificate: ExtendedCommitCertificate {
                    height: decided.height,
                    round: decided.round,
                    value_id: decided.value,
                    commit_signatures: decided
                        .signatures
                        .into_iter()
                        .map(|(address, signature)| {
                            ExtendedCommitSignature::new(address, signature, None)
                        })
                        .collect(),
                },
            })
            .collect();
        Ok(Response::ValueResponse(ValueResponse::new(
            values.start,
            raw,
        )))
    }

    fn encode(&self, response: &Response<Ctx>) -> Result<Bytes, CodecError> {
        let Response::ValueResponse(response) = response;
        encode(&Values {
            start: response.start_height,
            values: response
                .values
                .iter()
                .map(|raw| Decided {
                    block: raw.value_bytes.to_vec(),
                    height: raw.certificate.height,
                    round: raw.certificate.round,
                    value: raw.certificate.value_id,
                    signatures: raw
                        .certificate
                        .commit_signatures
                        .iter()
                        .map(|s| (s.address, s.signature))
                        .collect(),
                })
                .collect(),
        })
    }
}

impl HasEncodedLen<Response<Ctx>> for BorshCodec {
    fn encoded_len(&self, response: &Response<Ctx>) -> Result<usize, CodecError> {
        let Response::ValueResponse(response) = response;
        // Fixed parts: start and count; per value: length, height, round, value, count; per signature: 20 + 64.
        let values: usize = response
            .values
            .iter()
            .map(|raw| {
                let round = if raw.certificate.round.is_defined() {
                    5
                } else {
                    1
                };
                4 + raw.value_bytes.len()
                    + 8
                    + round
                    + 32
                    + 4
                    + raw.certificate.commit_signatures.len() * 84
            })
            .sum();
        Ok(8 + 4 + values)
    }
}
