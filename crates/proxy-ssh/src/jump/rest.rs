//! What is left of a channel that the client has closed.

use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, copy, sink};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long a session may take for the next piece of what its client sent before it left, and then to end,
const PATIENCE: Duration = Duration::from_secs(5);
/// and how long for all of it.
const LONGEST: Duration = Duration::from_secs(60);

/// The end of a session's pair of sockets, and what the session has not taken yet.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) stream: UnixStream,
    pub(super) waiting: BytesMut,
}

impl Rest {
    /// Gives the session the rest and then the end. What it still says, nobody hears; but it is read, since a session
    /// that cannot write takes its client for gone, whatever was sent before.
    pub(super) async fn hand_over(self) {
        let Self { stream, waiting } = self;
        let (mut said, mut hears) = stream.into_split();
        let told = async {
            let mut left = waiting.as_ref();
            while !left.is_empty() {
                match timeout(PATIENCE, hears.write(left)).await {
                    Ok(Ok(taken @ 1..)) => left = left.get(taken..).unwrap_or_default(),
                    // A session that is gone, or takes nothing.
                    Ok(_) | Err(_) => return,
                }
            }
            let _ = hears.shutdown().await;
        };
        let mut nobody = sink();
        let mut ended = pin!(copy(&mut said, &mut nobody));
        let handed_over = async {
            tokio::select! {
                () = told => drop(timeout(PATIENCE, &mut ended).await),
                _ = &mut ended => {}
            }
        };
        let _ = timeout(LONGEST, handed_over).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_session_gets_all_that_was_sent_though_it_says_much_meanwhile() {
        let (ours, mut session) = UnixStream::pair().unwrap();
        let sent = vec![7; 2 * 1024 * 1024];
        let rest = Rest { stream: ours, waiting: BytesMut::from(&sent[..]) };
        let reads = async {
            // More than the system holds for a reader who never comes.
            session.write_all(&vec![1; 2 * 1024 * 1024]).await.unwrap();
            let mut taken = Vec::new();
            session.read_to_end(&mut taken).await.unwrap();
            drop(session);
            taken
        };
        let ((), taken) = tokio::join!(rest.hand_over(), reads);
        assert!(taken == sent);
    }

    #[tokio::test]
    async fn a_session_that_takes_nothing_is_not_waited_for_forever() {
        let (ours, _session) = UnixStream::pair().unwrap();
        let rest = Rest { stream: ours, waiting: BytesMut::from(&vec![7; 2 * 1024 * 1024][..]) };
        rest.hand_over().await;
    }
}
