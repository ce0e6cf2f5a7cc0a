//! The body of a request: its size and its media type.

use lambda_http::Request;
use lambda_http::http::Method;
use lambda_http::http::header::CONTENT_TYPE;

use crate::error::Error;

/// The largest body that is read, in bytes: fifty ids or ten numbers with names need a tenth of it.
const LARGEST_BODY: usize = 64 * 1024;

/// The body of a request.
///
/// # Errors
/// `PayloadTooLarge`; `UnsupportedMediaType` if there is a `Content-Type` that is not JSON.
pub(super) fn body(request: &Request) -> Result<Vec<u8>, Error> {
    let bytes: &[u8] = request.body().as_ref();
    if request.method() == Method::GET || bytes.is_empty() {
        return Ok(Vec::new());
    }
    if bytes.len() > LARGEST_BODY {
        return Err(Error::PayloadTooLarge);
    }
    let declared = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match declared {
        Some(declared) if !is_json(declared) => Err(Error::UnsupportedMediaType),
        _ => Ok(bytes.to_vec()),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
