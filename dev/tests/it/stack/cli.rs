//! `cargo dev` as a program.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dev::postgres::{TestDatabase, connect};
use dev::{loopback, openapi};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as AsyncCommand};
use tokio::time::{Instant, sleep, timeout};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
/// The functions may have to be built first.
pub(super) const READY_TIMEOUT: Duration = Duration::from_mins(5);
/// From a signal to the end of the program.
pub(super) const END_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("DATABASE_URL").output().unwrap()
}

/// A command that runs the program without output, and kills it when the child is dropped.
pub(super) fn command(arguments: &[&str]) -> AsyncCommand {
    let mut command = AsyncCommand::new(PROGRAM);
    command.args(arguments).env_remove("DATABASE_URL").kill_on_drop(true);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(arguments: &[&str]) -> Child {
    command(arguments).spawn().unwrap()
}

pub(super) fn signal(program: &Child, name: &str) {
    let id = program.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

/// The command lines that contain `text`.
fn processes_naming(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

async fn wait_for(path: &Path, program: &mut Child) {
    let deadline = Instant::now() + READY_TIMEOUT;
    while !path.exists() {
        assert_eq!(program.try_wait().unwrap(), None, "it ended");
        assert!(Instant::now() < deadline, "it is not ready");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn everything_answers_and_a_signal_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (data, ready_file) = (folder.path().join("data"), folder.path().join("ready.json"));
    let data = data.to_str().unwrap();
    let options = ["--port", "0", "--telnyx-port", "0", "--data", data, "--ready-file", ready_file.to_str().unwrap()];
    let mut secrets = Vec::new();
    for (name, logs) in [("TERM", "json"), ("INT", "readable")] {
        let log = folder.path().join(logs);
        let mut command = command(&options);
        let mut program = command.args(["--logs", logs]).stderr(File::create(&log).unwrap()).spawn().unwrap();
        wait_for(&ready_file, &mut program).await;
        let ready: Value = serde_json::from_str(&fs::read_to_string(&ready_file).unwrap()).unwrap();
        let client = loopback::client().unwrap();
        // Reconcile has a route for webhooks, and no function URL.
        for (urls, count) in [("functions", 6), ("function_urls", 5)] {
            let urls = ready[urls].as_object().unwrap();
            assert_eq!(urls.len(), count);
            for url in urls.values() {
                let answer = client.get(url.as_str().unwrap()).send().await.unwrap();
                assert!(!answer.status().is_server_error(), "{url}: {}", answer.status());
            }
        }
        let document: Value = client.get(ready["openapi_url"].as_str().unwrap()).send().await.unwrap().json().await.unwrap();
        assert_eq!(document, openapi::document());
        let page = format!("{}{}", ready["base_url"].as_str().unwrap(), openapi::PAGE_PATH);
        assert!(client.get(page).send().await.unwrap().text().await.unwrap().contains("openapi.json"));
        let database = connect(ready["database_url"].as_str().unwrap()).await.unwrap();
        let count: i64 = database.query_one("select count(*) from agent_mappings", &[]).await.unwrap().get(0);
        assert_eq!(count, 4);
        secrets.push(ready["jwt_secret"].clone());

        signal(&program, name);
        let status = timeout(END_TIMEOUT, program.wait()).await.expect("it does not end").unwrap();
        assert!(status.success(), "{status}");
        assert_eq!(processes_naming(data), Vec::<String>::new());
        fs::remove_file(&ready_file).unwrap();
        let lines = fs::read_to_string(&log).unwrap();
        let are_objects = lines.lines().any(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()));
        assert_eq!(are_objects, logs == "json", "{lines}");
    }
    assert_eq!(secrets[0], secrets[1], "the data is kept");
}

#[tokio::test]
async fn a_sigkill_ends_everything_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (data, ready_file) = (folder.path().join("data"), folder.path().join("ready.json"));
    let data = data.to_str().unwrap();
    let mut program = start(&["--port", "0", "--telnyx-port", "0", "--data", data, "--ready-file", ready_file.to_str().unwrap()]);
    wait_for(&ready_file, &mut program).await;
    assert_ne!(processes_naming(data), Vec::<String>::new());
    program.kill().await.unwrap();
    let deadline = Instant::now() + END_TIMEOUT;
    while !processes_naming(data).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", processes_naming(data));
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn migrate_says_what_it_did() {
    let database = TestDatabase::empty().await.unwrap();
    let arguments = ["migrate", "--platform", "--database-url", database.url()];
    let first = run(&arguments);
    assert!(first.status.success(), "{first:?}");
    assert!(String::from_utf8_lossy(&first.stdout).contains("applied V01__existing_objects"));
    let second = run(&arguments);
    assert!(second.status.success(), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stdout).contains("nothing to apply"));
}

#[tokio::test]
async fn an_error_is_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // A port that nothing uses, and no other test is given.
    let nowhere = "postgres://nobody@127.0.0.1:1/x";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (arguments, expected) in [
        (vec!["--port", port.as_str()], "is in use: give another one with --port"),
        (vec!["--port", "0", "--telnyx-port", port.as_str()], "is in use: give another one with --telnyx-port"),
        (vec!["--port", "0", "--data", "/proc/nothing"], "making /proc/nothing; --data uses another folder"),
        (vec!["--port", "0", "--fresh", "--database-url", "postgres://u@localhost/x"], "not one that --database-url"),
        (vec!["migrate", "--database-url", "host=x"], "a database URL looks like"),
    ] {
        let output = run(&arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(expected), "{error}");
    }
    for (arguments, expected) in [
        (["migrate", "--database-url", nowhere].as_slice(), ""),
        (
            ["--port", "0", "--data", data, "--database-url", nowhere].as_slice(),
            "--database-url, or DATABASE_URL in the environment, names",
        ),
    ] {
        let output = run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("Connection refused") && error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_simulator_runs_alone() {
    let mut command = command(&["telnyx", "--port", "0"]);
    let mut program = command.stdout(Stdio::piped()).spawn().unwrap();
    // It prints its addresses once it answers and handles signals.
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    for label in ["url", "key", "control"] {
        let line = timeout(READY_TIMEOUT, lines.next_line()).await.expect("it is not ready").unwrap();
        assert!(line.as_ref().is_some_and(|line| line.starts_with(label)), "{line:?}");
    }
    signal(&program, "TERM");
    let status = timeout(END_TIMEOUT, program.wait()).await.expect("it does not end").unwrap();
    assert!(status.success(), "{status}");
}
