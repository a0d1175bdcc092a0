//! Length-prefixed messages on a stream: `u32` little-endian length, then that many bytes.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io;

/// How much of a body is allocated ahead of the bytes that have arrived.
const STEP_BYTES: usize = 64 * 1024;

/// Bodies up to this size travel in one write with their length.
const JOIN_BYTES: usize = 16 * 1024;

/// Why no message could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The other side ended the stream before the first byte: a refusal, or a connection that died.
    #[error("the stream ended before the first byte")]
    Closed,
    /// The other side ended the stream inside a message.
    #[error("the stream ended inside a message")]
    Truncated,
    /// The announced length is over the limit; nothing was allocated for it.
    #[error("a message of {found} bytes was announced, the limit is {limit}")]
    TooLong {
        /// Largest length accepted.
        limit: usize,
        /// Length announced.
        found: usize,
    },
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Io(#[from] io::Error),
}

/// Writes one message and flushes it; the write half stays open.
pub(crate) async fn write<S>(stream: &mut S, body: &[u8]) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let length = u32::try_from(body.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "message over 4 GiB"))?;
    if body.len() <= JOIN_BYTES {
        let mut message = Vec::with_capacity(4 + body.len());
        message.extend_from_slice(&length.to_le_bytes());
        message.extend_from_slice(body);
        stream.write_all(&message).await?;
    } else {
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(body).await?;
    }
    stream.flush().await
}

/// Reads one message of at most `limit` bytes.
///
/// # Errors
/// [`ReadError`]; after one the stream is of no more use.
pub(crate) async fn read<S>(stream: &mut S, limit: usize) -> Result<Vec<u8>, ReadError>
where
    S: AsyncRead + Unpin,
{
    let length = read_length(stream, limit).await?;
    read_body(stream, length).await
}

/// Reads the announced length of a message of at most `limit` bytes.
///
/// # Errors
/// [`ReadError`]; after one the stream is of no more use.
pub(crate) async fn read_length<S>(stream: &mut S, limit: usize) -> Result<usize, ReadError>
where
    S: AsyncRead + Unpin,
{
    let mut header = [0u8; 4];
    let mut filled = 0;
    while filled < header.len() {
        match stream.read(&mut header[filled..]).await? {
            0 if filled == 0 => return Err(ReadError::Closed),
            0 => return Err(ReadError::Truncated),
            count => filled += count,
        }
    }
    let length = u32::from_le_bytes(header) as usize;
    if length > limit {
        return Err(ReadError::TooLong {
            limit,
            found: length,
        });
    }
    Ok(length)
}

/// Reads a message's body, whose length was read before.
///
/// # Errors
/// [`ReadError`]; after one the stream is of no more use.
pub(crate) async fn read_body<S>(stream: &mut S, length: usize) -> Result<Vec<u8>, ReadError>
where
    S: AsyncRead + Unpin,
{
    let mut body: Vec<u8> = Vec::new();
    while body.len() < length {
        // The peer pays for memory with bytes: at most one step is ahead of what it has sent.
        let start = body.len();
        let step = (length - start).min(STEP_BYTES);
        body.resize(start + step, 0);
        let mut filled = start;
        while filled < start + step {
            match stream.read(&mut body[filled..]).await? {
                0 => return Err(ReadError::Truncated),
                count => filled += count,
            }
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// Serves the given bytes and remembers the largest buffer it was offered.
    struct Probe {
        bytes: Cursor<Vec<u8>>,
        largest: usize,
    }

    impl AsyncRead for Probe {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.largest = self.largest.max(buf.len());
            Pin::new(&mut self.bytes).poll_read(cx, buf)
        }
    }

    fn probe(bytes: Vec<u8>) -> Probe {
        Probe {
            bytes: Cursor::new(bytes),
            largest: 0,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for size in [
            0usize,
            1,
            JOIN_BYTES,
            JOIN_BYTES + 1,
            STEP_BYTES + 1,
            1_048_576,
        ] {
            let body: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let mut wire = Cursor::new(Vec::new());
            block_on(write(&mut wire, &body)).unwrap();
            let bytes = wire.into_inner();
            assert_eq!(bytes[..4], (size as u32).to_le_bytes());
            assert_eq!(block_on(read(&mut probe(bytes), size)).unwrap(), body);
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_the_body() {
        let mut stream = probe(u32::MAX.to_le_bytes().to_vec());
        match block_on(read(&mut stream, 1024)) {
            Err(ReadError::TooLong { limit, found }) => {
                assert_eq!((limit, found), (1024, u32::MAX as usize));
            }
            other => panic!("expected TooLong, got {other:?}"),
        }
        assert_eq!(stream.largest, 4, "only the length was read");
    }

    #[test]
    fn memory_follows_the_bytes_that_arrive() {
        let mut bytes = (64u32 * 1024 * 1024).to_le_bytes().to_vec();
        bytes.extend_from_slice(&[7; 10]);
        let mut stream = probe(bytes);
        let error = block_on(read(&mut stream, 64 * 1024 * 1024)).unwrap_err();
        assert!(matches!(error, ReadError::Truncated));
        assert!(stream.largest <= STEP_BYTES, "{} bytes", stream.largest);
    }

    #[test]
    fn an_early_end_is_told_apart() {
        let closed = block_on(read(&mut probe(Vec::new()), 10)).unwrap_err();
        assert!(matches!(closed, ReadError::Closed));
        let inside = block_on(read(&mut probe(vec![1, 0]), 10)).unwrap_err();
        assert!(matches!(inside, ReadError::Truncated));
    }
}
