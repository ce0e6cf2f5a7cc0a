//! Converts a function's answer to an HTTP response.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// An answer of format 2.0. API Gateway ignores members that it does not know, `multiValueHeaders` among them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// The HTTP response for an answer.
///
/// # Errors
/// If the answer is malformed or has an invalid status or header.
pub(super) fn response(answer: &[u8]) -> Result<Response> {
    let value: Value = serde_json::from_slice(answer).context("the function's answer is not JSON")?;
    if value.get("statusCode").is_none() {
        // API Gateway uses any other answer as the body of a 200.
        let json = HeaderValue::from_static("application/json");
        let mut response = Response::new(Body::from(value.to_string()));
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        return Ok(response);
    }
    let answer: Answer = serde_json::from_value(value).context("the function's answer is malformed")?;
    let text = answer.body.unwrap_or_default();
    let bytes = match answer.is_base64_encoded {
        Some(true) => STANDARD.decode(text).context("the body of the function's answer is not Base64")?,
        _ => text.into_bytes(),
    };
    let is_empty = bytes.is_empty();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(answer.status_code)?;
    let headers = response.headers_mut();
    for (name, value) in answer.headers.unwrap_or_default() {
        let name: HeaderName = name.parse().with_context(|| format!("the header {name:?}"))?;
        // The server sets the length.
        if name != header::CONTENT_LENGTH {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            headers.insert(name, HeaderValue::from_str(&value)?);
        }
    }
    for cookie in answer.cookies.unwrap_or_default() {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(&cookie)?);
    }
    if !is_empty && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
    }
    Ok(response)
}
