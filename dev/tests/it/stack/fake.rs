//! A function whose processes are real and idle: the test calls the Runtime API in their place.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use dev::lambda::functions::{Function, Launch, Logs};
use dev::lambda::gateway;
use dev::lambda::runtime_api::RuntimeApi;
use dev::lambda::template::{Definition, Route};
use dev::listener::Listener;
use dev::loopback;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A script that records its endpoint and runs until it is killed.
const SCRIPT: &str = "#!/bin/sh\necho \"$AWS_LAMBDA_RUNTIME_API\" > \"$FOLDER/$$.new\"\n\
    mv \"$FOLDER/$$.new\" \"$FOLDER/$$\"\nexec sleep 600\n";

/// The function behind a gateway with one route, and behind a function URL.
pub(super) struct Fake {
    pub(super) function: Function,
    pub(super) client: reqwest::Client,
    /// The route.
    pub(super) route: String,
    pub(super) api: Listener,
    pub(super) url: Listener,
    folder: TempDir,
}

/// One of its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    endpoint: String,
}

/// The event that a process fetched.
pub(super) struct Work {
    pub(super) id: String,
    pub(super) headers: HeaderMap,
    pub(super) event: Value,
}

impl Fake {
    pub(super) async fn start(max_processes: usize, timeout: Duration) -> Self {
        Self::with(Logs::File("/dev/null".into()), max_processes, timeout).await
    }

    pub(super) async fn with(logs: Logs, max_processes: usize, timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("function");
        fs::write(&program, SCRIPT).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let processes = folder.path().join("processes");
        fs::create_dir(&processes).unwrap();
        let environment = BTreeMap::from([("FOLDER".to_owned(), processes.to_str().unwrap().to_owned())]);
        let definition = Definition {
            name: "fake".to_owned(),
            resource: "FakeFunction".to_owned(),
            timeout,
            memory_mb: 128,
            routes: vec![Route { method: "ANY".to_owned(), path: "/fake".to_owned() }],
            is_scheduled: false,
        };
        let launch = Launch { program, environment, logs };
        let runtime_api = Arc::new(RuntimeApi::start().await.unwrap());
        let function = Function::new(definition, launch, max_processes, runtime_api);
        let api = gateway::serve_api(0, std::slice::from_ref(&function)).await.unwrap();
        let url = gateway::serve_url(&function).await.unwrap();
        let route = format!("{}/fake", api.url());
        Self { function, client: loopback::client().unwrap(), route, api, url, folder }
    }

    /// With the maximum of processes and the timeout of most tests.
    pub(super) async fn usual() -> Self {
        Self::start(4, Duration::from_secs(20)).await
    }

    /// Every process so far, in any order, once there are `count`.
    pub(super) async fn processes(&self, count: usize) -> Vec<Process> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let entries = fs::read_dir(self.folder.path().join("processes")).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_none());
            let found: Vec<Process> = paths
                .map(|path| Process {
                    id: path.file_name().unwrap().to_str().unwrap().parse().unwrap(),
                    endpoint: fs::read_to_string(&path).unwrap().trim().to_owned(),
                })
                .collect();
            assert!(found.len() <= count, "{found:?}");
            if found.len() == count {
                return found;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The only process so far.
    pub(super) async fn process(&self) -> Process {
        self.processes(1).await.remove(0)
    }

    /// Sends a request, in the background.
    pub(super) fn send(request: reqwest::RequestBuilder) -> tokio::task::JoinHandle<reqwest::Response> {
        tokio::spawn(async move { request.send().await.unwrap() })
    }

    /// Sends a request to the route, in the background.
    pub(super) fn get(&self) -> tokio::task::JoinHandle<reqwest::Response> {
        Self::send(self.client.get(&self.route))
    }

    /// Sends a request, answers it as the only process, and returns the event and the response.
    pub(super) async fn exchange(&self, request: reqwest::RequestBuilder, answer: &Value) -> (Work, reqwest::Response) {
        let response = Self::send(request);
        let process = self.process().await;
        let work = process.fetch(&self.client).await;
        process.answer(&self.client, &work, answer).await;
        (work, response.await.unwrap())
    }
}

impl Process {
    pub(super) async fn fetch(&self, client: &reqwest::Client) -> Work {
        let url = format!("{}/2018-06-01/runtime/invocation/next", self.endpoint);
        let response = client.get(url).send().await.unwrap().error_for_status().unwrap();
        let headers = response.headers().clone();
        let id = headers["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned();
        Work { id, headers, event: response.json().await.unwrap() }
    }

    pub(super) async fn answer(&self, client: &reqwest::Client, work: &Work, answer: &Value) {
        self.post(client, work, "response", answer).await;
    }

    pub(super) async fn post(&self, client: &reqwest::Client, work: &Work, how: &str, body: &Value) {
        let url = format!("{}/2018-06-01/runtime/invocation/{}/{how}", self.endpoint, work.id);
        let response = client.post(url).json(body).send().await.unwrap();
        assert_eq!(response.status(), 202);
    }

    pub(super) fn kill(&self) {
        let killed = std::process::Command::new("kill").args(["-9", &self.id.to_string()]).status().unwrap();
        assert!(killed.success());
    }

    pub(super) fn exists(&self) -> bool {
        // A zombie process has no command line.
        fs::read(format!("/proc/{}/cmdline", self.id)).is_ok_and(|command| !command.is_empty())
    }

    /// Waits until the process has ended. `false` if it does not.
    pub(super) async fn is_gone(&self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.exists() {
            if Instant::now() > deadline {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        true
    }
}
