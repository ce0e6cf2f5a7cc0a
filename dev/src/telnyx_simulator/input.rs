//! Members of request bodies that several endpoints read.

use serde_json::Value;
use uuid::Uuid;

use super::{errors::Problem, settings::Settings};

pub(super) fn tags(body: &Value) -> Result<Option<Vec<String>>, Problem> {
    let Some(tags) = body.get("tags").filter(|tags| !tags.is_null()) else {
        return Ok(None);
    };
    let tag = |tag: &Value| tag.as_str().filter(|tag| !tag.contains(':')).map(str::to_owned);
    let tags = tags.as_array().and_then(|tags| tags.iter().map(tag).collect::<Option<Vec<_>>>());
    tags.map(Some).ok_or_else(|| Problem::invalid("tags must be strings without colons").at("/tags"))
}

/// A member of a body that is a string; `""` and `null` mean none.
pub(super) fn text(body: &Value, name: &str) -> Result<Option<String>, Problem> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Problem::invalid(format!("{name} must be a string")).at(format!("/{name}"))),
    }
}

/// Connections are not simulated: every decimal id of 5 to 20 digits exists.
pub(super) fn check_connection(settings: &Settings, connection_id: Option<&str>) -> Result<(), Problem> {
    let Some(id) = connection_id else {
        return Ok(());
    };
    let exists = (5..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if exists && !settings.refused_connection_ids.iter().any(|refused| refused == id) {
        Ok(())
    } else {
        Err(Problem::invalid_connection(id))
    }
}

/// Messaging profiles are not simulated: every UUID exists.
pub(super) fn check_messaging_profile(id: Option<&str>) -> Result<(), Problem> {
    match id {
        Some(id) if Uuid::parse_str(id).is_err() => {
            Err(Problem::new(422, "85005", format!("The messaging profile '{id}' does not exist.")).at("/messaging_profile_id"))
        }
        _ => Ok(()),
    }
}

pub(super) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    })
}
