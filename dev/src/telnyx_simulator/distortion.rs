//! Changes the body of an answer as a fault says.

use serde_json::{Value, json};

use super::faults::{Fault, FaultKind};

/// The body of an answer, changed by a fault.
pub(super) fn distorted(mut body: Value, fault: &Fault) -> String {
    match fault.kind {
        FaultKind::Empty => empty(&mut body),
        FaultKind::Odd => make_odd(&mut body),
        FaultKind::Patched => {
            fault.patch.iter().for_each(|(pointer, value)| put(&mut body, pointer, value.clone()));
            fault.removed.iter().for_each(|pointer| remove(&mut body, pointer));
        }
        _ => {}
    }
    let text = body.to_string();
    match (fault.kind, fault.bytes) {
        (FaultKind::Malformed, _) => text[..text.floor_char_boundary(text.len() / 2)].to_owned(),
        (FaultKind::Oversized, Some(bytes)) => padded(text, bytes),
        _ => text,
    }
}

fn empty(body: &mut Value) {
    body["data"] = json!([]);
    body["meta"]["total_pages"] = json!(0);
    body["meta"]["total_results"] = json!(0);
}

fn make_odd(body: &mut Value) {
    let data = &mut body["data"];
    if let Some(number) = if data.is_array() { data.get_mut(0) } else { Some(data) } {
        number["phone_number"] = json!("anonymous");
    }
}

/// Replaces the value at a JSON pointer, or adds it if its parent exists.
fn put(body: &mut Value, pointer: &str, value: Value) {
    if let Some(current) = body.pointer_mut(pointer) {
        *current = value;
        return;
    }
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    match body.pointer_mut(parent) {
        Some(Value::Object(members)) => drop(members.insert(unescaped(last), value)),
        Some(Value::Array(elements)) if last == "-" || last == elements.len().to_string() => elements.push(value),
        _ => {}
    }
}

/// Removes the member or the element that a JSON pointer names, if there is one.
fn remove(body: &mut Value, pointer: &str) {
    if body.pointer(pointer).is_none() {
        return;
    }
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    match (body.pointer_mut(parent), last.parse()) {
        (Some(Value::Object(members)), _) => drop(members.remove(&unescaped(last))),
        (Some(Value::Array(elements)), Ok(index)) => drop(elements.remove(index)),
        _ => {}
    }
}

/// A segment of a JSON pointer without its escapes.
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// Extends a JSON object to `bytes` with a last member.
fn padded(text: String, bytes: usize) -> String {
    const START: &str = ",\"padding\":\"";
    const END: &str = "\"}";
    match text.strip_suffix('}') {
        Some(members) if text.len() < bytes => {
            let padding = "x".repeat(bytes.saturating_sub(members.len() + START.len() + END.len()));
            [members, START, &padding, END].concat()
        }
        _ => text,
    }
}
