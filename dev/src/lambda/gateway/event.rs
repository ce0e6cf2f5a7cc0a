//! Converts an HTTP request to an event of format 2.0.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use reqwest::Url;
use serde_json::{Map, Value, json};

/// The endpoint that received a request.
pub(super) enum Source {
    /// The HTTP API, by a route.
    Api {
        /// Such as `ANY /phone-numbers-search`.
        route_key: String,
    },
    /// The function's own URL.
    FunctionUrl,
}

impl Source {
    fn route_key(&self) -> &str {
        match self {
            Self::Api { route_key } => route_key,
            Self::FunctionUrl => "$default",
        }
    }

    /// The sender, as AWS reports it.
    fn account_id(&self) -> &'static str {
        match self {
            Self::Api { .. } => "000000000000",
            Self::FunctionUrl => "anonymous",
        }
    }

    /// The header with the request's id in an answer.
    pub(super) fn request_id_header(&self) -> &'static str {
        match self {
            Self::Api { .. } => "apigw-requestid",
            Self::FunctionUrl => "x-amzn-requestid",
        }
    }
}

/// The event that a function is invoked with.
pub(super) fn event(source: &Source, parts: &Parts, body: &[u8], request_id: &str) -> Value {
    let now = Utc::now();
    let host = text(&parts.headers, header::HOST.as_str()).unwrap_or_default();
    let domain = host.rsplit_once(':').map_or(host.as_str(), |(domain, _)| domain);
    let query = parts.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": source.route_key(),
        "rawPath": parts.uri.path(),
        "rawQueryString": query,
        "headers": headers(&parts.headers, &host),
        "requestContext": {
            "accountId": source.account_id(),
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.split('.').next(),
            "http": {
                "method": parts.method.as_str(),
                "path": parts.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": text(&parts.headers, header::USER_AGENT.as_str()).unwrap_or_default(),
            },
            "requestId": request_id,
            "routeKey": source.route_key(),
            "stage": "$default",
            "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": false,
    });
    // Empty members are left out.
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = Value::Object(query_parameters(query));
    }
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(&parts.headers));
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = json!(text.map_or_else(|| STANDARD.encode(body), ToOwned::to_owned));
    }
    event
}

/// One member per name, several values joined, without the headers of the connection, and with those that AWS adds.
fn headers(headers: &HeaderMap, host: &str) -> Map<String, Value> {
    let own = [header::COOKIE, header::CONNECTION, header::TRANSFER_ENCODING];
    let names = headers.keys().filter(|name| !own.contains(name));
    let mut map: Map<String, Value> = names.filter_map(|name| Some((name.to_string(), json!(text(headers, name.as_str())?)))).collect();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    map.insert("x-forwarded-for".to_owned(), json!("127.0.0.1"));
    map.insert("x-forwarded-port".to_owned(), json!(port));
    map.insert("x-forwarded-proto".to_owned(), json!("http"));
    map
}

/// All values of a header, joined by commas.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).map(|cookie| cookie.trim().to_owned()).collect()
}

/// Decoded; several values of one name joined by commas.
fn query_parameters(query: &str) -> Map<String, Value> {
    let mut map = Map::new();
    let Ok(url) = Url::parse(&format!("http://localhost/?{query}")) else {
        return map;
    };
    for (name, value) in url.query_pairs() {
        let joined = match map.get(name.as_ref()).and_then(Value::as_str) {
            Some(others) => format!("{others},{value}"),
            None => value.into_owned(),
        };
        map.insert(name.into_owned(), json!(joined));
    }
    map
}

/// Whether API Gateway passes the body on as text. It encodes all others, forms included.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(content_type) = text(headers, header::CONTENT_TYPE.as_str()) else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}
