//! What a person sees of `cargo dev`, and types after it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dev::workspace;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::cli::{END_TIMEOUT, READY_TIMEOUT, command, signal};

/// A running `cargo dev`.
struct Terminal {
    program: Child,
    /// Its standard output until it was ready.
    screen: Vec<String>,
    data: PathBuf,
    log: PathBuf,
    _folder: TempDir,
}

impl Terminal {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let mut command = command(&["--port", "0", "--telnyx-port", "0", "--data", data.to_str().unwrap()]);
        let mut program = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let mut screen: Vec<String> = Vec::new();
        while !screen.last().is_some_and(|line| line.starts_with("README.md")) {
            let line = timeout(READY_TIMEOUT, lines.next_line()).await.expect("it is not ready");
            screen.push(line.unwrap().expect("it ended"));
        }
        Self { program, screen, data, log, _folder: folder }
    }

    /// Runs a script in a shell that has sourced the file with the tokens. Returns its output.
    async fn shell(&self, script: &str) -> String {
        let script = format!(". {}/env\n{script}", self.data.display());
        let mut shell = Command::new("bash");
        let output = timeout(END_TIMEOUT, shell.args(["-euo", "pipefail", "-c", &script]).output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{script}\n{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn json(&self, script: &str) -> Value {
        serde_json::from_str(&self.shell(script).await).unwrap()
    }

    /// Stops it and returns its standard error.
    async fn stop(mut self) -> String {
        signal(&self.program, "INT");
        timeout(END_TIMEOUT, self.program.wait()).await.expect("it does not end").unwrap();
        fs::read_to_string(&self.log).unwrap()
    }
}

fn readme() -> String {
    fs::read_to_string(workspace::root().join("README.md")).unwrap()
}

/// A line without what differs from run to run: the ports, the folder and the seconds.
fn as_in_readme(line: &str, data: &Path) -> String {
    let mut line = line.replace(data.to_str().unwrap(), "DATA");
    for start in ["127.0.0.1:", "Ready after "] {
        if let Some((before, after)) = line.split_once(start) {
            line = format!("{before}{start}N{}", after.trim_start_matches(|letter: char| letter.is_ascii_digit()));
        }
    }
    line
}

#[tokio::test]
async fn the_first_screen_is_that_of_the_readme_fits_80_columns_and_buys_a_number() {
    let terminal = Terminal::start().await;
    let readme = readme();
    let documented =
        readme.split("```text\n").find_map(|text| text.starts_with("Ready after").then(|| text.split("\n```").next().unwrap()));
    let documented: Vec<_> = documented.unwrap().lines().map(|line| as_in_readme(line, Path::new("target/dev"))).collect();
    let screen: Vec<_> = terminal.screen.iter().skip(1).map(|line| as_in_readme(line, &terminal.data)).collect();
    assert_eq!(screen, documented);
    assert_eq!(fs::metadata(terminal.data.join("env")).unwrap().permissions().mode() & 0o777, 0o600);

    let commands = terminal.screen.iter().skip_while(|line| !line.starts_with("Search")).filter_map(|line| line.strip_prefix("  "));
    let answers = terminal.shell(&commands.collect::<Vec<_>>().join("\n")).await;
    assert!(answers.contains(r#""outcome":"purchased""#), "{answers}");

    let screen = terminal.screen.clone();
    let log = terminal.stop().await;
    assert!(log.contains("Finished `dev` profile"), "cargo's progress is shown: {log}");
    // The webhook that confirms the order may come before the end.
    let requests: Vec<_> = log.lines().filter(|line| line.contains(" 200 ") && !line.contains("reconcile")).collect();
    assert_eq!(requests.len(), 3, "{log}");
    assert!(requests[2][8..].starts_with("  purchase POST  200 "), "{log}");
    for line in screen.iter().map(String::as_str).chain(requests) {
        assert!(line.chars().count() <= 80 && !line.contains('\u{1b}'), "{line}");
    }
}

/// The commands of the story in the README, by the first word of the comment before each.
fn story(step: &str) -> String {
    let readme = readme();
    let block = readme.split("```sh\n").find(|text| text.starts_with(". target/dev/env")).unwrap();
    let steps = block.split("\n```").next().unwrap().split("\n\n");
    let step = steps.filter_map(|text| text.strip_prefix("# ")).find(|text| text.starts_with(step)).unwrap();
    step.split_once('\n').unwrap().1.to_owned()
}

#[tokio::test]
async fn the_story_of_the_readme_works_as_it_is_written() {
    let terminal = Terminal::start().await;
    let found = terminal.json(&story("Search")).await;
    let number = format!("NUMBER={}\n", found["phone_numbers"][0]["phone_number"].as_str().unwrap());
    let bought = terminal.json(&(number + &story("Buy"))).await;
    assert_eq!(bought["phone_numbers"][0]["outcome"], "purchased", "{bought}");
    let id = format!("ID={}\n", bought["phone_numbers"][0]["id"].as_str().unwrap());
    let listed = terminal.json(&story("List")).await;
    assert_eq!(listed["phone_numbers"][0]["friendly_name"], "Front desk", "{listed}");
    let assigned = terminal.json(&(id.clone() + &story("Assign"))).await;
    assert_eq!(assigned["phone_number"]["agent_mappings"]["ultravox_agent_name"], "Reception", "{assigned}");
    let released = terminal.json(&(id + &story("Release"))).await;
    assert_eq!(released["summary"]["released_count"], 1, "{released}");
    terminal.stop().await;
}
