//! Reads the functions from `template.yaml`, the file that deploys them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_yaml_ng::Value;

/// The default if the template has none. API Gateway gives up after 29 s in any case.
const DEFAULT_TIMEOUT_S: u64 = 29;
const DEFAULT_MEMORY_MB: u64 = 128;

/// The functions of the template, in its order.
#[derive(Debug, Clone)]
pub struct Template {
    /// Every resource of type `AWS::Serverless::Function`.
    pub functions: Vec<Definition>,
}

/// One function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The package and its binary, such as `phone-numbers-search`.
    pub name: String,
    /// The logical id of the resource, such as `PhoneNumbersSearchFunction`.
    pub resource: String,
    /// The timeout of an invocation.
    pub timeout: Duration,
    /// The memory size in its environment.
    pub memory_mb: u64,
    /// Its routes in the HTTP API.
    pub routes: Vec<Route>,
    /// Whether it also runs on a schedule.
    pub is_scheduled: bool,
}

/// One route of the HTTP API. Paths with variables are not supported: no function here has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// In capitals, or `ANY`.
    pub method: String,
    /// Such as `/phone-numbers-search`.
    pub path: String,
}

impl Route {
    /// API Gateway's key of the route, such as `ANY /phone-numbers-search`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Template::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Parses a template.
    ///
    /// # Errors
    /// If it is not YAML, has no functions, or has a route that is not supported here.
    pub fn parse(text: &str) -> Result<Self> {
        let document: Value = serde_yaml_ng::from_str(text)?;
        let globals = &document["Globals"]["Function"];
        let resources = document["Resources"].as_mapping().context("it has no Resources")?;
        let mut functions = Vec::new();
        for (resource, body) in resources {
            if body["Type"] == "AWS::Serverless::Function" {
                let resource = resource.as_str().context("a resource's name is not text")?;
                let function = definition(resource, &body["Properties"], globals);
                functions.push(function.with_context(|| format!("resource {resource}"))?);
            }
        }
        ensure!(!functions.is_empty(), "it has no functions");
        Ok(Self { functions })
    }
}

fn definition(resource: &str, properties: &Value, globals: &Value) -> Result<Definition> {
    let code = properties["CodeUri"].as_str().context("it has no CodeUri")?;
    let name = Path::new(code).file_name().and_then(|name| name.to_str()).context("its CodeUri names no folder")?;
    let number = |key: &str| properties[key].as_u64().or_else(|| globals[key].as_u64());
    let events: Vec<_> = properties["Events"].as_mapping().into_iter().flatten().map(|(_, event)| event).collect();
    let routes = events.iter().filter(|event| event["Type"] == "HttpApi").map(|event| route(event));
    Ok(Definition {
        name: name.to_owned(),
        resource: resource.to_owned(),
        timeout: Duration::from_secs(number("Timeout").unwrap_or(DEFAULT_TIMEOUT_S)),
        memory_mb: number("MemorySize").unwrap_or(DEFAULT_MEMORY_MB),
        routes: routes.collect::<Result<_>>()?,
        is_scheduled: events.iter().any(|event| event["Type"] == "Schedule"),
    })
}

fn route(event: &Value) -> Result<Route> {
    let text = |key: &str| event["Properties"][key].as_str().with_context(|| format!("an HttpApi event has no {key}"));
    let path = text("Path")?.to_owned();
    if path.contains('{') || !path.starts_with('/') {
        bail!("the path {path} is not supported on this machine: only plain ones are");
    }
    Ok(Route { method: text("Method")?.to_ascii_uppercase(), path })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEMPLATE: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Timeout: 28
    MemorySize: 256
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
  PhoneNumbersSearchFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda}
    Properties:
      CodeUri: functions/phone-numbers-search
      MemorySize: 512
      Environment:
        Variables:
          URL: !Sub "https://${Api}.example"
          KEY: !GetAtt Secret.Arn
      Events:
        Http:
          Type: HttpApi
          Properties: {ApiId: !Ref Api, Path: /phone-numbers-search, Method: any}
        Timer:
          Type: Schedule
          Properties: {Schedule: rate(1 minute)}
"#;

    #[test]
    fn functions_and_routes_come_from_the_template() {
        let route = Route { method: "ANY".to_owned(), path: "/phone-numbers-search".to_owned() };
        assert_eq!(route.key(), "ANY /phone-numbers-search");
        let expected = Definition {
            name: "phone-numbers-search".to_owned(),
            resource: "PhoneNumbersSearchFunction".to_owned(),
            timeout: Duration::from_secs(28),
            memory_mb: 512,
            routes: vec![route],
            is_scheduled: true,
        };
        assert_eq!(Template::parse(TEMPLATE).unwrap().functions, [expected]);
    }

    #[test]
    fn what_cannot_be_served_here_is_refused() {
        for (part, broken) in [("CodeUri", "Code"), ("/phone-numbers-search,", "\"/{proxy+}\","), ("Resources", "Outputs")] {
            assert!(Template::parse(&TEMPLATE.replace(part, broken)).is_err(), "{broken}");
        }
    }
}
