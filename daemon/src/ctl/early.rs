//! A stream for answers that come before the whole request is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Goes on reading when the peer takes no more.
///
/// The daemon may refuse an upload after its first line, answer, and close. The rest of the upload then fails to be
/// written, and an HTTP client that stops there never reads why. So the rest is dropped as if it had been sent.
pub(super) struct EarlyAnswer<T> {
    inner: T,
}

impl<T> EarlyAnswer<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self { inner }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for EarlyAnswer<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for EarlyAnswer<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner)
            .poll_write(context, bytes)
            .map(|outcome| unless_closed(outcome, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context).map(|outcome| unless_closed(outcome, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context).map(|outcome| unless_closed(outcome, ()))
    }
}

/// The outcome, or `done` where it only says that the peer has closed.
fn unless_closed<R>(outcome: io::Result<R>, done: R) -> io::Result<R> {
    match outcome {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(done)
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn an_answer_is_read_though_the_peer_took_no_more() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"refused").await.unwrap();
        drop(far);
        let mut near = EarlyAnswer::new(near);
        near.write_all(&[0; 1 << 20]).await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "refused");
    }

    #[tokio::test]
    async fn other_faults_stay_faults() {
        let fault = |kind| unless_closed(Err(io::Error::from(kind)), ()).map_err(|error| error.kind());
        assert_eq!(fault(io::ErrorKind::BrokenPipe), Ok(()));
        assert_eq!(fault(io::ErrorKind::ConnectionReset), Ok(()));
        assert_eq!(fault(io::ErrorKind::TimedOut), Err(io::ErrorKind::TimedOut));
    }
}
