//! The page: the files in `dev/console`, read for each request, so that a change shows when the page is loaded again.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::workspace;

pub(super) async fn index() -> Response {
    read("index.html").await
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    read(&name).await
}

async fn read(name: &str) -> Response {
    let Some(content_type) = content_type(name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match tokio::fs::read(workspace::root().join("dev/console").join(name)).await {
        Ok(content) => ([(CONTENT_TYPE, content_type)], content).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The type of a file of the page. `None` if the name is not a plain one, or of another type.
fn content_type(name: &str) -> Option<&'static str> {
    let (stem, extension) = name.split_once('.')?;
    let is_plain = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    match extension {
        "html" if is_plain => Some("text/html; charset=utf-8"),
        "css" if is_plain => Some("text/css; charset=utf-8"),
        "js" if is_plain => Some("text/javascript; charset=utf-8"),
        "svg" if is_plain => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_files_of_the_page() {
        assert_eq!(content_type("app.js"), Some("text/javascript; charset=utf-8"));
        for name in ["../Cargo.toml", "..", "..%2f.js", "/etc/passwd.js", "a/b.js", "app.js.map", ".js", "app", "app.js/../x.js", ""] {
            assert_eq!(content_type(name), None, "{name}");
        }
    }
}
