//! How large an answer becomes. Lambda refuses one of more than 6 MB, and API Gateway then answers 500 in its own words.

use std::io;

use serde::Serialize;

use crate::error::Error;

/// The most that a list without an end in the answer may take, in bytes.
pub const LONGEST_LIST: usize = 4_000_000;

/// The most that the agents beside it may take, in bytes. An agent takes 200, usually.
pub const LONGEST_AGENTS: usize = 1_000_000;

/// Counts what is written.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The answer of a function is JSON that contains the body as a string: these are escaped once more.
        let escaped = bytes.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        self.0 += bytes.len() + escaped;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes the items at the end of a list for which there is no `room`, and reduces `room` by the others. Whether all have stayed.
///
/// # Errors
/// `Internal` if an item cannot be serialised, which is a defect.
pub fn keep_what_fits<T: Serialize>(items: &mut Vec<T>, room: &mut usize) -> Result<bool, Error> {
    for at in 0..items.len() {
        // With the comma after it.
        let mut counter = Counter(1);
        serde_json::to_writer(&mut counter, &items[at]).map_err(|error| Error::Internal(Box::new(error)))?;
        let Some(rest) = room.checked_sub(counter.0) else {
            items.truncate(at);
            return Ok(false);
        };
        *room = rest;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_takes_as_much_room_as_in_the_answer_of_a_function() {
        for text in ["", "a", "\"", "\\", "é", "☎", "\u{1}", "a\"b\\\n"] {
            let item = serde_json::json!({"text": text});
            let body = format!("{item},");
            let in_answer = serde_json::to_string(&body).unwrap_or_default().len() - 2;
            let (mut room, mut items) = (in_answer, vec![item]);
            assert_eq!((keep_what_fits(&mut items, &mut room).ok(), room, items.len()), (Some(true), 0, 1), "{text:?}");
            room = in_answer - 1;
            assert_eq!((keep_what_fits(&mut items, &mut room).ok(), room, items.len()), (Some(false), in_answer - 1, 0), "{text:?}");
        }
    }
}
