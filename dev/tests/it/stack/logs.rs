//! What `cargo dev` shows of the functions' logs.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dev::colours::Colours;
use dev::lambda::functions::{Logs, Readable};
use dev::stack::Options;
use reqwest::Method;
use serde_json::json;

use super::fake::Fake;
use crate::support::app::{ORIGIN, eventually};
use crate::support::product::Product;

/// What was written, in a form that can be read meanwhile.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn logs(&self) -> Logs {
        Logs::Readable(Readable::new(self.clone(), Colours::Off))
    }

    /// The lines so far, without their times.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect()
    }

    /// The only line that begins like this, once it is there.
    async fn line(&self, start: &str) -> String {
        let found = async || {
            let mut lines = self.lines();
            lines.retain(|line| line.starts_with(start));
            assert!(lines.len() < 2, "{lines:?}");
            lines.pop()
        };
        eventually(found).await
    }
}

/// A product whose functions log to `screen`, with variables of their environment.
async fn product(screen: &Screen, environment: &[(&str, &str)]) -> Product {
    let set = async |options: &mut Options| {
        options.logs = screen.logs();
        options.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    };
    Product::with(set).await
}

#[tokio::test]
async fn a_request_is_one_line_that_tells_how_it_ended_and_what_it_waited_for() {
    let screen = Screen::default();
    let product = product(&screen, &[]).await;
    product.offers().await;
    let preflight = product.http.request(Method::OPTIONS, &product.stack.routes()["phone-numbers-list"]).header("origin", ORIGIN);
    assert_eq!(preflight.send().await.unwrap().status(), 204);
    let refused = product.request(Method::GET, "phone-numbers-list", "member").query(&[("colour", "red")]);
    assert_eq!(refused.send().await.unwrap().status(), 400);
    assert_eq!(product.http.get(&product.stack.routes()["phone-numbers-assign"]).send().await.unwrap().status(), 401);

    let search = screen.line("search GET     200 ").await;
    assert!(search.contains(" ms  Telnyx ") && search.contains(", Postgres "), "{search}");
    let list = screen.line("list GET       400 ").await;
    assert!(list.ends_with("  invalid_request"), "{list}");
    let assign = screen.line("assign GET     401 ").await;
    assert!(assign.ends_with(" ms  unauthorized"), "{assign}");
    // Neither a preflight nor a process that warms up.
    assert_eq!(screen.lines().len(), 3, "{:?}", screen.lines());
    assert!(screen.lines().iter().all(|line| line.len() < 70), "with the time, a line fits 80 columns: {:?}", screen.lines());
}

#[tokio::test]
async fn a_failure_of_the_functions_tells_its_reason_in_the_line_of_the_request() {
    let screen = Screen::default();
    let product = product(&screen, &[("MAX_PLAUSIBLE_PRICE", "cheap")]).await;
    let list = product.request(Method::GET, "phone-numbers-list", "member");
    assert_eq!(list.send().await.unwrap().status(), 503);
    let line = screen.line("list GET       503 ").await;
    assert!(line.contains("unavailable: ") && line.contains("MAX_PLAUSIBLE_PRICE"), "{line}");
}

#[tokio::test]
async fn reconcile_is_shown_when_it_has_done_something() {
    let screen = Screen::default();
    let product = product(&screen, &[("REQUEST_BUDGET_MS", "2500")]).await;
    product.telnyx_settings(json!({"order_outcome": "never"})).await;
    product.stack.run_scheduled().await.unwrap();
    let number = product.offers().await.remove(0);
    assert_eq!(product.purchase(&number).send().await.unwrap().status(), 202);
    for order in product.telnyx().await["orders"].as_array().unwrap() {
        let complete = product.http.post(format!("{}/orders/{}", product.stack.telnyx().control_url(), order["id"].as_str().unwrap()));
        complete.json(&json!({"status": "success"})).send().await.unwrap().error_for_status().unwrap();
    }
    let completed = async || {
        product.stack.run_scheduled().await.unwrap();
        screen.lines().into_iter().find(|line| line.contains("purchases completed 1"))
    };
    let line = eventually(completed).await;
    assert!(line.starts_with("reconcile      run "), "{line}");
    for _ in 0..3 {
        product.stack.run_scheduled().await.unwrap();
    }
    product.offers().await;
    eventually(async || (screen.lines().iter().filter(|line| line.starts_with("search")).count() == 2).then_some(())).await;
    assert_eq!(screen.lines().iter().filter(|line| line.starts_with("reconcile")).count(), 1, "{:?}", screen.lines());
}

#[tokio::test]
async fn a_process_that_ends_without_an_answer_is_an_error() {
    let screen = Screen::default();
    let fake = Fake::with(screen.logs(), 4, Duration::from_secs(20)).await;
    let response = fake.get();
    let process = fake.process().await;
    process.fetch(&fake.client).await;
    process.kill();
    assert_eq!(response.await.unwrap().status(), 502);
    screen.line("fake           error: the process ended before it answered").await;
}

#[tokio::test]
async fn an_error_that_the_runtime_reports_is_shown_with_its_message() {
    let screen = Screen::default();
    let fake = Fake::with(screen.logs(), 4, Duration::from_secs(20)).await;
    let response = fake.get();
    let process = fake.process().await;
    let work = process.fetch(&fake.client).await;
    process.post(&fake.client, &work, "error", &json!({"errorMessage": "the deployment is another one"})).await;
    assert_eq!(response.await.unwrap().status(), 500);
    screen.line("fake           error: the deployment is another one").await;
}
