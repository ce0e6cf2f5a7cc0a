//! Lets Docker's containers reach servers that listen on this machine's loopback address only.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use reqwest::Url;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Docker Desktop's name for its host. Through this name containers reach the host's loopback address.
const DESKTOP: &str = "host.docker.internal";
/// The port of Postgres if a URL has none.
const POSTGRES_PORT: u16 = 5432;

/// Forwards connections of containers to this machine until it is dropped.
#[derive(Debug)]
pub struct Containers {
    gateway: IpAddr,
    /// By port, whether connections to it are forwarded. Several functions are given one server's URL.
    ports: BTreeMap<u16, bool>,
    relays: JoinSet<()>,
}

impl Containers {
    /// `gateway` is this machine's address on the containers' network.
    #[must_use]
    pub fn new(gateway: IpAddr) -> Self {
        Self { gateway, ports: BTreeMap::new(), relays: JoinSet::new() }
    }

    /// Returns the URL that containers use instead of `url`. For a loopback address, this is the same port of the gateway, which
    /// is forwarded, or Docker Desktop's name if the gateway is not an address of this machine.
    ///
    /// # Errors
    /// If `url` is malformed, or the gateway's port is taken.
    pub async fn open(&mut self, url: &str) -> Result<String> {
        let mut url = Url::parse(url)?;
        if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            let port = url.port_or_known_default().unwrap_or(POSTGRES_PORT);
            let host = if self.forwards(port).await? { self.gateway.to_string() } else { DESKTOP.to_owned() };
            url.set_host(Some(&host)).map_err(|error| anyhow!("{url} cannot be at {host}: {error}"))?;
        }
        Ok(url.into())
    }

    /// Forwards connections to `port`, if none did. Returns `false` if the gateway is not an address of this machine.
    async fn forwards(&mut self, port: u16) -> Result<bool> {
        if let Some(forwards) = self.ports.get(&port) {
            return Ok(*forwards);
        }
        let forwards = self.relay(port).await?;
        self.ports.insert(port, forwards);
        Ok(forwards)
    }

    async fn relay(&mut self, port: u16) -> Result<bool> {
        let listener = match TcpListener::bind((self.gateway, port)).await {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return Ok(false),
            listener => listener.with_context(|| format!("listening on {}:{port} for containers", self.gateway))?,
        };
        self.relays.spawn(async move {
            loop {
                let Ok((mut caller, _)) = listener.accept().await else {
                    // Too many open files, for example.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                tokio::spawn(async move {
                    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                    // Otherwise a second small packet waits 40 ms for the acknowledgement of the first.
                    caller.set_nodelay(true)?;
                    server.set_nodelay(true)?;
                    copy_bidirectional(&mut caller, &mut server).await
                });
            }
        });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// On Linux all of 127.0.0.0/8 is loopback, and listening on one of its addresses leaves the others free.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_comes_to_the_gateway_is_passed_on() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let mut containers = Containers::new(Ipv4Addr::new(127, 0, 0, 2).into());

        let url = containers.open(&format!("postgres://me:secret@127.0.0.1:{port}/numbers?sslmode=disable")).await.unwrap();
        assert_eq!(url, format!("postgres://me:secret@127.0.0.2:{port}/numbers?sslmode=disable"));

        let mut container = TcpStream::connect(("127.0.0.2", port)).await.unwrap();
        container.write_all(b"ping").await.unwrap();
        let (mut accepted, caller) = server.accept().await.unwrap();
        assert_eq!(caller.ip(), Ipv4Addr::LOCALHOST);
        let mut received = [0; 4];
        accepted.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");
        accepted.write_all(b"pong").await.unwrap();
        container.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"pong");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn every_function_can_be_given_the_same_server() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let mut containers = Containers::new(Ipv4Addr::new(127, 0, 0, 2).into());
        for login in ["read", "spend"] {
            let url = containers.open(&format!("postgres://{login}@127.0.0.1:{port}/numbers")).await.unwrap();
            assert_eq!(url, format!("postgres://{login}@127.0.0.2:{port}/numbers"));
        }
    }

    #[tokio::test]
    async fn docker_desktop_needs_no_relay() {
        // Reserved for documentation: no machine has this address.
        let mut containers = Containers::new(Ipv4Addr::new(192, 0, 2, 1).into());
        assert_eq!(containers.open("http://127.0.0.1:9100/v2").await.unwrap(), "http://host.docker.internal:9100/v2");
    }

    #[tokio::test]
    async fn other_machines_are_left_alone() {
        let mut containers = Containers::new(Ipv4Addr::new(192, 0, 2, 1).into());
        let url = "postgres://me:secret@db.example.com/numbers?sslmode=require";
        assert_eq!(containers.open(url).await.unwrap(), url);
    }
}
