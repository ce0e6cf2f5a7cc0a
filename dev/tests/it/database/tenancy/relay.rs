//! A relay before Postgres that removes conditions from one statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Relays every connection to the database.
pub(super) struct Relay {
    url: String,
    used: Arc<AtomicBool>,
}

/// The statement that is changed, and what is removed from it.
struct Removal {
    name: &'static str,
    conditions: Vec<&'static str>,
    used: Arc<AtomicBool>,
}

impl Relay {
    pub(super) async fn start(database_url: &str, name: &'static str, conditions: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut url = reqwest::Url::parse(database_url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let used = Arc::new(AtomicBool::new(false));
        let removal = Arc::new(Removal { name, conditions, used: Arc::clone(&used) });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, mut to_client) = client.into_split();
                let (mut from_server, to_server) = TcpStream::connect(&target).await.unwrap().into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                // An error is the end of the connection.
                tokio::spawn(relay(from_client, to_server, Arc::clone(&removal)));
            }
        });
        Self { url: url.into(), used }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Insists that the statement was sent.
    pub(super) fn is_used(&self) {
        assert!(self.used.load(Ordering::Relaxed), "the statement was not sent");
    }
}

async fn relay(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, removal: Arc<Removal>) -> std::io::Result<()> {
    // The first message has no type.
    let mut tag = None;
    loop {
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        if let Some(tag) = tag {
            server.write_u8(tag).await?;
        }
        if tag == Some(b'P') {
            body = removal.apply(body);
        }
        server.write_u32(u32::try_from(body.len() + 4).unwrap()).await?;
        server.write_all(&body).await?;
        tag = Some(client.read_u8().await?);
    }
}

impl Removal {
    /// The body of a Parse message: the name of the prepared statement, the statement, and the types of its parameters.
    fn apply(&self, body: Vec<u8>) -> Vec<u8> {
        let parts: Vec<_> = body.splitn(3, |byte| *byte == 0).collect();
        let [prepared, statement, types] = parts[..] else { panic!("a Parse message has three parts") };
        let text = std::str::from_utf8(statement).unwrap();
        if text.lines().next() != Some(&format!("-- {}", self.name)) {
            return body;
        }
        self.used.store(true, Ordering::Relaxed);
        let mut changed = text.to_owned();
        for condition in &self.conditions {
            let comparison = condition.find('$').map_or_else(|| "true".to_owned(), |at| format!("{}::uuid is not null", &condition[at..]));
            assert!(changed.contains(condition), "{text}: {condition}");
            changed = changed.replace(condition, &comparison);
        }
        [prepared, changed.as_bytes(), types].join(&0)
    }
}
