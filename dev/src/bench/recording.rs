//! Reads statements and their parameters from what a client has sent to Postgres (protocol 3.0, without TLS).

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use bytes::Buf;
use serde::Serialize;

/// A statement with the parameters of one execution, in Postgres' binary format.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Recorded {
    sql: String,
    parameters: Vec<Option<Vec<u8>>>,
}

/// The statements that were executed after the first `before` bytes of a connection. They may have been prepared earlier.
pub(super) fn statements(sent: &[u8], before: usize) -> Result<Vec<Recorded>> {
    let (mut rest, mut prepared, mut executed) = (sent, HashMap::new(), Vec::new());
    // The first message has no type.
    take(&mut rest)?;
    while rest.has_remaining() {
        let is_new = sent.len() - rest.len() >= before;
        let kind = rest.get_u8();
        let mut body = take(&mut rest)?;
        match kind {
            b'P' => {
                let name = text(&mut body)?;
                prepared.insert(name, text(&mut body)?);
            }
            b'B' if is_new => {
                text(&mut body)?;
                let name = text(&mut body)?;
                let sql = prepared.get(&name).with_context(|| format!("the statement {name:?} was not prepared"))?.clone();
                executed.push(Recorded { sql, parameters: parameters(body)? });
            }
            _ => {}
        }
    }
    ensure!(!executed.is_empty(), "no statement was executed");
    Ok(executed)
}

/// The body of a message, after its type.
fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    // The length includes itself.
    let length = usize::try_from(rest.try_get_i32()?)?.checked_sub(4).context("a message has no length")?;
    let (body, after) = rest.split_at_checked(length).context("a message is cut off")?;
    *rest = after;
    Ok(body)
}

fn text(body: &mut &[u8]) -> Result<String> {
    let end = body.iter().position(|byte| *byte == 0).context("a text has no end")?;
    let text = std::str::from_utf8(&body[..end])?.to_owned();
    body.advance(end + 1);
    Ok(text)
}

/// The parameters in the rest of a Bind message: formats, then values.
fn parameters(mut body: &[u8]) -> Result<Vec<Option<Vec<u8>>>> {
    let formats = usize::try_from(body.try_get_i16()?)?;
    for _ in 0..formats {
        ensure!(body.try_get_i16()? == 1, "a parameter is not binary");
    }
    let count = usize::try_from(body.try_get_i16()?)?;
    let values = (0..count).map(|_| {
        let Ok(length) = usize::try_from(body.try_get_i32()?) else { return Ok(None) };
        let (value, after) = body.split_at_checked(length).context("a parameter is cut off")?;
        body = after;
        Ok(Some(value.to_vec()))
    });
    values.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind, &length, body].concat()
    }

    #[test]
    fn an_execution_is_recorded_with_the_text_that_was_prepared_and_its_parameters() {
        let bind = |value: u8| {
            let parameters = [b"\0s0\0\0\x01\0\x01\0\x02\0\0\0\x01".as_slice(), &[value], b"\xff\xff\xff\xff\0\0"].concat();
            message(b"B", &parameters)
        };
        let earlier = [message(b"", b"\0\x03\0\0user\0me\0\0"), message(b"P", b"s0\0select $1, $2\0\0\0"), bind(7)].concat();
        let sent = [earlier.clone(), bind(8), message(b"S", b"")].concat();
        let expected = Recorded { sql: "select $1, $2".to_owned(), parameters: vec![Some(vec![8]), None] };
        assert_eq!(statements(&sent, earlier.len()).unwrap(), [expected]);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        for sent in [b"".as_slice(), b"\0\0\0\x08\0\0", b"\0\0\0\x04P\0\0\0\x09s0"] {
            assert!(statements(sent, 0).is_err(), "{sent:?}");
        }
    }
}
