//! A relay before Postgres that counts round trips, and keeps what clients send.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long an answer is held back. What the client sends meanwhile belongs to the same round trip, since it does not depend on
/// the answer.
const PAUSE: Duration = Duration::from_millis(10);
const BUFFER: usize = 64 * 1024;

/// The relay. It stops when dropped; connections that are open end with their clients.
pub(super) struct Relay {
    port: u16,
    heard: Heard,
    task: JoinHandle<()>,
}

/// What all connections together have sent.
#[derive(Debug, Default)]
struct Traffic {
    round_trips: usize,
    sent: Vec<u8>,
}

type Heard = Arc<Mutex<Traffic>>;

impl Relay {
    /// Starts a relay to a port of 127.0.0.1.
    pub(super) async fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, heard) = (listener.local_addr()?.port(), Heard::default());
        let task = tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let heard = Arc::clone(&heard);
                    // It fails if either side ends the connection without a farewell.
                    tokio::spawn(async move { relay(client, to, &heard).await });
                }
            }
        });
        Ok(Self { port, heard, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn round_trips(&self) -> usize {
        lock(&self.heard).round_trips
    }

    /// What clients have sent so far.
    pub(super) fn sent(&self) -> Vec<u8> {
        lock(&self.heard).sent.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(mut client: TcpStream, to: u16, heard: &Heard) -> std::io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // That of the connection itself.
    lock(heard).round_trips += 1;
    let (mut from_client, mut from_server) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut is_clients_turn = true;
    loop {
        tokio::select! {
            count = client.read(&mut from_client) => {
                let Some(sent) = from_client.get(..count?).filter(|sent| !sent.is_empty()) else { return Ok(()) };
                if std::mem::take(&mut is_clients_turn) {
                    lock(heard).round_trips += 1;
                }
                lock(heard).sent.extend_from_slice(sent);
                server.write_all(sent).await?;
            }
            count = server.read(&mut from_server) => {
                let Some(mut answer) = from_server.get(..count?).filter(|answer| !answer.is_empty()).map(<[u8]>::to_vec) else { return Ok(()) };
                sleep(PAUSE).await;
                for sent in available(&client)? {
                    lock(heard).sent.extend_from_slice(&sent);
                    server.write_all(&sent).await?;
                    sleep(PAUSE).await;
                }
                answer.extend(available(&server)?.concat());
                client.write_all(&answer).await?;
                is_clients_turn = true;
            }
        }
    }
}

/// What has arrived and not been read.
fn available(stream: &TcpStream) -> std::io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    loop {
        let mut buffer = vec![0; BUFFER];
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(found),
            Ok(count) => {
                buffer.truncate(count);
                found.push(buffer);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(found),
            Err(error) => return Err(error),
        }
    }
}

fn lock(heard: &Heard) -> MutexGuard<'_, Traffic> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
