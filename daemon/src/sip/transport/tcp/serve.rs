//! One connection at work: what comes is cut into messages, what is to go out is written.

use super::places::Place;
use super::{Inbound, LAST_WORDS, READ_SIZE, Shared};
use crate::sip::flow::Flow;
use crate::sip::message::Wire;
use crate::sip::stream::{Framer, PONG, Piece};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// Reads and writes one connection until either side has had enough, or its place is another's.
pub(super) async fn serve<S>(
    shared: &Shared,
    stream: S,
    flow: Flow,
    mut writes: mpsc::Receiver<Wire>,
    place: &mut Place,
) where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut framer = Framer::default();
    let mut deadline = Instant::now() + shared.limits.idle;
    place.opened(Instant::now());
    loop {
        framer.buffer().reserve(READ_SIZE);
        let was_partial = framer.is_partial();
        tokio::select! {
            read = timeout_at(deadline, reader.read_buf(framer.buffer())) => {
                if !matches!(read, Ok(Ok(1..))) {
                    if read.is_err() && was_partial {
                        shared.counters.unfinished.add();
                    }
                    return;
                }
                place.busy();
                let Some(delivered) = deliver(shared, &mut framer, &mut writer, flow).await else {
                    return last_words(shared, &mut reader, &mut writer, &mut writes).await;
                };
                // A message that began must end in time, however its bytes trickle in.
                if framer.is_partial() && (delivered > 0 || !was_partial) {
                    deadline = Instant::now() + shared.limits.message_within;
                }
            }
            bytes = writes.recv() => {
                let Some(bytes) = bytes else { return };
                place.busy();
                if !write(shared, &mut writer, &bytes).await {
                    return;
                }
            }
            () = place.lost(), if writes.is_empty() => return,
        }
        if !framer.is_partial() {
            deadline = Instant::now() + shared.limits.idle;
            place.idle(Instant::now());
        }
    }
}

/// Hands over what is complete, and says how much that was; `None` if the connection cannot go on.
async fn deliver(
    shared: &Shared,
    framer: &mut Framer,
    writer: &mut (impl AsyncWrite + Unpin),
    flow: Flow,
) -> Option<usize> {
    let mut delivered = 0;
    loop {
        match framer.next_piece() {
            Ok(Some(Piece::Message(bytes))) => {
                shared.inbound.send(Inbound::Message { bytes, flow }).await.ok()?;
                delivered += 1;
            }
            Ok(Some(Piece::Ping)) => write(shared, writer, PONG).await.then_some(())?,
            Ok(None) => return Some(delivered),
            Err(broken) => {
                tracing::debug!(peer = %flow.remote, error = %broken.error, "a SIP stream broke");
                // The agent finds the same fault and answers it.
                let _ = shared.inbound.send(Inbound::Message { bytes: broken.head, flow }).await;
                return None;
            }
        }
    }
}

/// Writes all of it in time; false, counted, where the peer does not take it.
async fn write(shared: &Shared, writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    let written = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    let is_written = matches!(timeout(shared.limits.message_within, written).await, Ok(Ok(())));
    if !is_written {
        shared.counters.send_failures.add();
    }
    is_written
}

/// Writes what answers a broken stream, and reads on into nothing meanwhile: closing a socket with unread bytes
/// would reset the connection and take the answer with it.
async fn last_words(
    shared: &Shared,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    writes: &mut mpsc::Receiver<Wire>,
) {
    if let Ok(Some(bytes)) = timeout(LAST_WORDS, writes.recv()).await {
        write(shared, writer, &bytes).await;
    }
    let _ = writer.shutdown().await;
    let mut sink = [0; READ_SIZE];
    let _ = timeout(LAST_WORDS, async { while matches!(reader.read(&mut sink).await, Ok(1..)) {} }).await;
}
