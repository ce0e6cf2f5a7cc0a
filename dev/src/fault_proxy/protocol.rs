//! The messages of Postgres (protocol 3.0), as far as needed to separate interactions and to name them.

use std::collections::HashMap;
use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

/// A complete message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Its type; `None` for the first message of a client, which has none.
    tag: Option<u8>,
    bytes: Bytes,
}

/// The role of a client's message in an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of an incomplete interaction.
    Part,
    /// The end of an interaction, which the server answers up to a `ReadyForQuery`.
    End,
    /// Anything else. It is forwarded at once with the messages before it.
    Other,
}

/// The length of a message, which includes itself but not the type before it.
const LENGTH: usize = 4;

impl Message {
    /// Takes the first message out of `buffer` once it is complete. The first message of a client is untyped.
    pub(super) fn take(buffer: &mut BytesMut, is_typed: bool) -> io::Result<Option<Self>> {
        let prefix = usize::from(is_typed);
        let Some(length) = buffer.get(prefix..prefix + LENGTH) else { return Ok(None) };
        let length = usize::try_from((&*length).get_i32()).ok().filter(|length| *length >= LENGTH);
        let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message has no length"))?;
        if buffer.len() < prefix + length {
            return Ok(None);
        }
        let bytes = buffer.split_to(prefix + length).freeze();
        Ok(Some(Self { tag: is_typed.then(|| bytes[0]), bytes }))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The kind of a client's message. COPY and function calls, which are answered differently, are not used here.
    pub(super) fn kind(&self) -> Kind {
        match self.tag {
            // Parse, Bind, Describe, Execute, Close.
            Some(b'P' | b'B' | b'D' | b'E' | b'C') => Kind::Part,
            // Sync, Query.
            Some(b'S' | b'Q') => Kind::End,
            _ => Kind::Other,
        }
    }

    /// Whether a server's message is the end of an answer.
    pub(super) fn is_ready_for_query(&self) -> bool {
        self.tag == Some(b'Z')
    }

    /// The `index`th of the texts that begin `skip` bytes into the body.
    fn text(&self, skip: usize, index: usize) -> String {
        let body = self.bytes.get(1 + LENGTH + skip..).unwrap_or_default();
        String::from_utf8_lossy(body.split(|byte| *byte == 0).nth(index).unwrap_or_default()).into_owned()
    }
}

/// The statements that a connection has prepared: our name of each, by the connection's name of it.
#[derive(Debug, Default)]
pub(super) struct Statements(HashMap<String, String>);

impl Statements {
    /// The name of a complete interaction.
    pub(super) fn name(&mut self, messages: &[Message]) -> String {
        let (mut done, mut prepared) = (None, None);
        for message in messages {
            match message.tag {
                Some(b'Q') => done = Some(name(&message.text(0, 0))),
                Some(b'P') => {
                    let name = name(&message.text(0, 1));
                    prepared = Some(format!("prepare {name}"));
                    self.0.insert(message.text(0, 0), name);
                }
                Some(b'B') if done.is_none() => done = self.0.get(&message.text(0, 1)).cloned(),
                // A letter distinguishes a statement from a portal.
                Some(b'C') if prepared.is_none() => prepared = self.0.remove(&message.text(1, 0)).map(|name| format!("close {name}")),
                _ => {}
            }
        }
        done.or(prepared).unwrap_or_else(|| "sync".to_owned())
    }
}

/// The name of a statement: its comment, or its first word.
fn name(sql: &str) -> String {
    let line = sql.lines().next().unwrap_or_default();
    let word = || sql.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or("empty").to_lowercase();
    line.strip_prefix("-- ").map_or_else(word, |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(LENGTH + body.len()).unwrap().to_be_bytes();
        [&[tag], &length[..], body].concat()
    }

    fn messages(bytes: &[u8]) -> Vec<Message> {
        let mut buffer = BytesMut::from(bytes);
        std::iter::from_fn(|| Message::take(&mut buffer, true).unwrap()).collect()
    }

    #[test]
    fn a_message_is_taken_once_it_is_whole_however_it_arrives() {
        let sent = [message(b'P', b"s1\0select 1\0\0\0"), message(b'S', b"")].concat();
        let mut buffer = BytesMut::new();
        let mut taken = Vec::new();
        for byte in &sent {
            buffer.extend_from_slice(&[*byte]);
            taken.extend(Message::take(&mut buffer, true).unwrap());
        }
        let kinds: Vec<_> = taken.iter().map(Message::kind).collect();
        assert_eq!(kinds, [Kind::Part, Kind::End]);
        assert_eq!([taken[0].bytes(), taken[1].bytes()].concat(), sent);
    }

    #[test]
    fn the_first_message_has_no_type() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 8, 0, 3, 0, 0, b'S'][..]);
        let first = Message::take(&mut buffer, false).unwrap().unwrap();
        assert_eq!((first.kind(), first.bytes().len(), &buffer[..]), (Kind::Other, 8, &b"S"[..]));
    }

    #[test]
    fn a_length_that_cannot_be_is_an_error() {
        assert!(Message::take(&mut BytesMut::from(&[b'Q', 0, 0, 0, 3][..]), true).is_err());
        assert!(Message::take(&mut BytesMut::from(&[b'Q', 255, 255, 255, 255][..]), true).is_err());
    }

    #[test]
    fn an_interaction_goes_by_the_name_of_its_statement() {
        let mut statements = Statements::default();
        let mut name = |bytes: &[Vec<u8>]| statements.name(&messages(&bytes.concat()));
        let sync = message(b'S', b"");
        let parse = message(b'P', b"s7\0-- purchases.begin.insert\nwith taken as\0\0\0");
        let bind = message(b'B', b"\0s7\0\0\0\0\0\0\0");
        assert_eq!(name(&[parse, message(b'D', b"Ss7\0"), sync.clone()]), "prepare purchases.begin.insert");
        assert_eq!(name(&[bind.clone(), message(b'E', b"\0\0\0\0\0"), sync.clone()]), "purchases.begin.insert");
        assert_eq!(name(&[message(b'C', b"Ss7\0"), sync.clone()]), "close purchases.begin.insert");
        assert_eq!(name(&[bind, sync]), "sync");
        assert_eq!(name(&[message(b'Q', b"BEGIN; select 1\0")]), "begin");
        assert_eq!(name(&[message(b'Q', b"\0")]), "empty");
    }
}
