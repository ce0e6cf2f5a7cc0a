//! A connection to Postgres, message by message.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::protocol::{Kind, Message, Statements};
use super::state::{Injection, Moment, State};

/// More than a client sends at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection in both directions.
struct Connection<'a> {
    client: Side,
    server: Side,
    state: &'a State,
    statements: Statements,
    /// The messages of an incomplete interaction. They have not been forwarded.
    parts: Vec<Message>,
    /// The number of interactions that the server has not answered.
    unanswered: usize,
    /// The read of the client's last interaction; see [`Side::reads`].
    read: u64,
}

/// One side of the connection.
struct Side {
    stream: TcpStream,
    received: BytesMut,
    /// Whether messages have a type: all but a client's first do.
    is_typed: bool,
    /// How often something has arrived. A client that sends interactions without waiting for answers has them arrive together.
    reads: u64,
}

/// Forwards messages in both directions until one side closes or a fault comes.
pub(super) async fn pass(client: TcpStream, server: TcpStream, state: &State) -> io::Result<()> {
    let (client, server) = (Side::new(client, false)?, Side::new(server, true)?);
    let mut connection = Connection { client, server, state, statements: Statements::default(), parts: Vec::new(), unanswered: 0, read: 0 };
    connection.pass().await
}

impl Connection<'_> {
    async fn pass(&mut self) -> io::Result<()> {
        loop {
            tokio::select! {
                asked = self.client.next() => {
                    let Some(message) = asked? else { return Ok(()) };
                    if let Some(injection) = self.ask(message).await? {
                        // The fault comes whatever else goes wrong: both sides may be gone already.
                        let _ = self.run_until(injection.moment).await;
                        self.state.execute(injection.fault).await;
                        return Ok(());
                    }
                }
                answered = self.server.next() => {
                    let Some(message) = answered? else { return Ok(()) };
                    self.answer(message).await?;
                }
            }
        }
    }

    /// Holds a message back until its interaction is complete, then forwards it unless a fault is planned for it.
    async fn ask(&mut self, message: Message) -> io::Result<Option<Injection>> {
        let kind = message.kind();
        self.parts.push(message);
        match kind {
            Kind::Part => return Ok(None),
            Kind::Other => {}
            Kind::End => {
                let name = self.statements.name(&self.parts);
                let is_round_trip = std::mem::replace(&mut self.read, self.client.reads) != self.client.reads;
                if let Some(injection) = self.state.record(name, is_round_trip) {
                    return Ok(Some(injection));
                }
                self.unanswered += 1;
            }
        }
        self.send().await?;
        Ok(None)
    }

    async fn send(&mut self) -> io::Result<()> {
        let parts: Vec<_> = self.parts.drain(..).collect();
        self.server.write(&parts).await
    }

    /// Forwards an answer with all messages that have arrived after it.
    async fn answer(&mut self, message: Message) -> io::Result<()> {
        let mut messages = vec![message];
        while let Some(message) = self.server.take()? {
            messages.push(message);
        }
        let answers = messages.iter().filter(|message| message.is_ready_for_query()).count();
        // The first one ends the start of the session, which is not an interaction.
        self.unanswered = self.unanswered.saturating_sub(answers);
        self.client.write(&messages).await
    }

    /// Forwards until the moment of the fault: all earlier interactions are answered. Nothing more is read from the client.
    async fn run_until(&mut self, moment: Moment) -> io::Result<()> {
        while self.unanswered > 0 {
            let message = self.server.expect().await?;
            self.answer(message).await?;
        }
        if moment == Moment::After {
            self.send().await?;
            while !self.server.expect().await?.is_ready_for_query() {}
        }
        Ok(())
    }
}

impl Side {
    fn new(stream: TcpStream, is_typed: bool) -> io::Result<Self> {
        // Each batch of messages is sent at once.
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::new(), is_typed, reads: 0 })
    }

    /// The next message; `None` at the end. Cancel-safe.
    async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            // What is sent together is read together.
            self.received.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Ok(None);
            }
            self.reads += 1;
        }
    }

    /// The next message. The end is an error.
    async fn expect(&mut self) -> io::Result<Message> {
        self.next().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The next message, if it has arrived.
    fn take(&mut self) -> io::Result<Option<Message>> {
        let message = Message::take(&mut self.received, self.is_typed)?;
        self.is_typed |= message.is_some();
        Ok(message)
    }

    async fn write(&mut self, messages: &[Message]) -> io::Result<()> {
        let bytes: Vec<_> = messages.iter().map(Message::bytes).collect();
        self.stream.write_all(&bytes.concat()).await
    }
}
