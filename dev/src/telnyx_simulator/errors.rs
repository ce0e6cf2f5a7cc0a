//! Telnyx's error envelope and its known errors.

use serde_json::{Value, json};

/// An error answer: a status and one error in Telnyx's envelope.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    code: String,
    detail: String,
    source: Option<Value>,
}

impl Problem {
    pub(super) fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into(), source: None }
    }

    /// Names the faulty member of the body, as a JSON pointer.
    pub(super) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.source = Some(json!({ "pointer": pointer.into() }));
        self
    }

    /// Names the faulty query parameter.
    pub(super) fn in_parameter(mut self, parameter: &str) -> Self {
        self.source = Some(json!({ "parameter": parameter }));
        self
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "10015", detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "10005", "The requested resource or URL could not be found.")
    }

    pub(super) fn no_credentials() -> Self {
        Self::new(401, "10009", "Could not find any usable credentials in the request.")
    }

    pub(super) fn bad_credentials() -> Self {
        Self::new(401, "10009", "Could not understand the provided credentials.")
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(429, "10011", "You have exceeded the maximum number of allowed requests.")
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(422, "10027", detail)
    }

    pub(super) fn invalid_connection(connection_id: &str) -> Self {
        Self::new(422, "85004", format!("The connection '{connection_id}' does not exist or is not yours.")).at("/connection_id")
    }

    pub(super) fn body(&self) -> Value {
        let mut error = self.error();
        if let Some(source) = &self.source {
            error["source"] = source.clone();
        }
        json!({ "errors": [error] })
    }

    /// The error alone, as a job reports it for one number.
    pub(super) fn error(&self) -> Value {
        json!({
            "code": self.code,
            "title": title(&self.code),
            "detail": self.detail,
            "meta": { "url": format!("https://developers.telnyx.com/docs/overview/errors/{}", self.code) },
        })
    }
}

/// The code that Telnyx most likely sends with a status.
pub(super) fn usual_code(status: u16) -> &'static str {
    match status {
        401 => "10009",
        403 => "10010",
        404 => "10005",
        408 | 504 => "10008",
        409 => "85001",
        422 => "10027",
        429 => "10011",
        503 => "10037",
        500.. => "10007",
        _ => "10015",
    }
}

fn title(code: &str) -> &'static str {
    match code {
        "10004" => "Missing required parameter",
        "10005" => "Resource not found",
        "10007" => "Unexpected error",
        "10008" => "Request timeout",
        "10009" => "Authentication failed",
        "10010" => "Authorization failed",
        "10011" => "Too many requests",
        "10015" => "Bad Request",
        "10016" => "Phone number must be in +E.164 format",
        "10021" => "Resource in use",
        "10027" => "Invalid parameter",
        "10035" => "Resource locked",
        "10037" => "Service unavailable",
        "20014" => "Account unverified",
        "20100" => "Insufficient funds",
        "85000" => "Phone number must be searched for first",
        "85001" => "Phone number not available",
        "85002" => "Order cannot be updated",
        "85004" => "Invalid connection id",
        "85005" => "Invalid messaging profile id",
        "85006" => "Phone number already reserved",
        "85008" => "Reservation extension limit reached",
        _ => "Error",
    }
}
