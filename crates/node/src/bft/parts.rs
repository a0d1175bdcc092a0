//! How a block travels: parts of 128 KiB that arrive in any order, grouped by (publisher, stream).

use super::context::{BftAddress, BftPart};
use bytes::Bytes;
use caduceus_crypto::codec;
use caduceus_ledger::{Block, block::MAX_BLOCK_BYTES};
use malachitebft_app_channel::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_app_channel::app::types::core::Round;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a block in one part.
pub const PART_BYTES: usize = 128 * 1024;
/// Room for a header and list lengths around [`MAX_BLOCK_BYTES`] of transactions.
const MAX_ENCODED_BLOCK: usize = MAX_BLOCK_BYTES + 4096;
const MAX_PARTS: u16 = (MAX_ENCODED_BLOCK / PART_BYTES + 1) as u16;
/// Unfinished streams kept of one publisher; the oldest go first.
const MAX_STREAMS: usize = 4;
/// Unfinished streams kept in all: four of each of the most validators.
const MAX_STREAMS_IN_ALL: usize = 512;

/// Cuts a block into the messages of one stream.
pub fn cut(
    block: &Block,
    round: Round,
    valid_round: Round,
    stream: u64,
) -> Vec<StreamMessage<BftPart>> {
    let bytes = codec::encode(block);
    let id = block.hash();
    let stream = StreamId::new(Bytes::copy_from_slice(&stream.to_be_bytes()));
    let pieces: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
    let count = pieces.len() as u16;
    pieces
        .into_iter()
        .enumerate()
        .map(|(index, piece)| {
            let part = BftPart {
                height: super::context::BftHeight(block.header.height.0),
                round,
                valid_round,
                proposer: BftAddress(block.header.proposer),
                block: id,
                index: index as u16,
                count,
                bytes: piece.to_vec(),
            };
            StreamMessage::new(stream.clone(), index as u64, StreamContent::Data(part))
        })
        .collect()
}

/// A proposed block with all its parts.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// Peer that published it.
    pub publisher: Vec<u8>,
    pub block: Arc<Block>,
    pub round: Round,
    pub valid_round: Round,
}

/// Collects parts until a block is whole.
#[derive(Default)]
pub struct Assembler {
    arrivals: u64,
    streams: BTreeMap<(Vec<u8>, Bytes), Stream>,
}

struct Stream {
    arrival: u64,
    first: BftPart,
    pieces: BTreeMap<u16, Vec<u8>>,
}

impl Assembler {
    /// Takes one part; returns the block when it is whole. Parts that contradict the stream's first one, or
    /// that are out of bounds, are dropped.
    pub fn take(
        &mut self,
        publisher: Vec<u8>,
        message: StreamMessage<BftPart>,
    ) -> Option<Assembled> {
        let key = (publisher, message.stream_id.to_bytes());
        let part = message.content.into_data()?;
        if part.count == 0
            || part.count > MAX_PARTS
            || part.index >= part.count
            || part.bytes.len() > PART_BYTES
        {
            return None;
        }
        if !self.streams.contains_key(&key) {
            // Each publisher's streams push out its own, never another's.
            let own = self
                .streams
                .iter()
                .filter(|((publisher, _), _)| *publisher == key.0);
            let (count, oldest) = own.fold(
                (0, None),
                |(count, oldest): (usize, Option<(u64, _)>), (k, s)| {
                    let older = oldest
                        .as_ref()
                        .is_none_or(|(arrival, _)| s.arrival < *arrival);
                    (
                        count + 1,
                        if older {
                            Some((s.arrival, k.clone()))
                        } else {
                            oldest
                        },
                    )
                },
            );
            if count >= MAX_STREAMS
                && let Some((_, oldest)) = oldest
            {
                self.streams.remove(&oldest);
            }
            if self.streams.len() >= MAX_STREAMS_IN_ALL {
                return None;
            }
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        let stream = self.streams.entry(key.clone()).or_insert_with(|| Stream {
            arrival,
            first: part.clone(),
            pieces: BTreeMap::new(),
        });
        let same = (
            part.height,
            part.round,
            part.valid_round,
            part.proposer,
            part.block,
            part.count,
        ) == (
            stream.first.height,
            stream.first.round,
            stream.first.valid_round,
            stream.first.proposer,
            stream.first.block,
            stream.first.count,
        );
        if !same {
            return None;
        }
        stream.pieces.insert(part.index, part.bytes);
        if stream.pieces.len() < usize::from(part.count) {
            return None;
        }
        let stream = self.streams.remove(&key)?;
        let bytes: Vec<u8> = stream.pieces.into_values().flatten().collect();
        let block: Block = codec::decode_exact(&bytes, MAX_ENCODED_BLOCK).ok()?;
        let honest = block.hash() == stream.first.block
            && block.body_matches()
            && block.header.height.0 == stream.first.height.0
            && block.header.proposer == stream.first.proposer.0;
        honest.then_some(Assembled {
            publisher: key.0,
            block: Arc::new(block),
            round: stream.first.round,
            valid_round: stream.first.valid_round,
        })
    }

    /// Forgets unfinished streams at or below a committed height.
    pub fn clear(&mut self, committed: u64) {
        self.streams
            .retain(|_, stream| stream.first.height.0 > committed);
    }
}
