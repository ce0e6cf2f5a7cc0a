//! A client of the simulator's controls, which take no requests of web pages: the console forwards those of its own page.

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use reqwest::Url;
use serde_json::Value;

/// A client of the controls.
#[derive(Debug, Clone)]
pub(super) struct Controls {
    http: reqwest::Client,
    url: String,
}

impl Controls {
    pub(super) fn new(http: reqwest::Client, url: String) -> Self {
        Self { http, url }
    }

    /// Sends a request to a control, such as `settings`. Returns the status and the body.
    pub(super) async fn send(&self, method: Method, control: &str, body: Bytes) -> Result<(StatusCode, Bytes)> {
        let url = Url::parse(&format!("{}/{control}", self.url))?;
        // Dots in a path lead out of the controls.
        ensure!(url.as_str().starts_with(&format!("{}/", self.url)), "{control} is no control");
        let answer = self.http.request(method, url).body(body).send().await.context("asking the simulator")?;
        Ok((answer.status(), answer.bytes().await?))
    }

    /// As [`Controls::send`], for JSON and for controls that are expected to succeed.
    pub(super) async fn json(&self, method: Method, control: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let (status, answer) = self.send(method, control, body).await?;
        ensure!(status.is_success(), "the simulator answered {status} to {control}");
        Ok(serde_json::from_slice(&answer)?)
    }
}
