//! Processes of functions: one request at a time, started on demand, ended when they must be.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::Fake;
use crate::support::app::eventually;

fn ok() -> Value {
    json!({"statusCode": 200})
}

#[tokio::test]
async fn a_process_gets_the_environment_and_headers_of_lambda() {
    let fake = Fake::usual().await;
    let before = chrono::Utc::now().timestamp_millis();
    let (work, _) = fake.exchange(fake.client.get(&fake.route), &ok()).await;
    let after = chrono::Utc::now().timestamp_millis();
    let deadline: i64 = work.headers["lambda-runtime-deadline-ms"].to_str().unwrap().parse().unwrap();
    assert!((before..=after).contains(&(deadline - 20_000)), "{deadline}");
    assert!(work.headers["lambda-runtime-invoked-function-arn"].to_str().unwrap().ends_with(":function:fake"));
    assert!(work.headers.contains_key("lambda-runtime-trace-id"));
}

#[tokio::test]
async fn requests_at_once_have_a_process_each_and_then_the_last_used_is_used_again() {
    let fake = Fake::usual().await;
    let (one, other) = (fake.get(), fake.get());
    let [first, second] = fake.processes(2).await.try_into().unwrap();
    for process in [&first, &second] {
        let work = process.fetch(&fake.client).await;
        process.answer(&fake.client, &work, &ok()).await;
        // It is idle once its answer has arrived.
        eventually(async || fake.function.idle_processes().contains(&process.id).then_some(())).await;
    }
    assert!(one.await.unwrap().status().is_success() && other.await.unwrap().status().is_success());
    assert_eq!(fake.function.idle_processes(), [first.id, second.id]);
    let third = fake.get();
    let work = second.fetch(&fake.client).await;
    second.answer(&fake.client, &work, &ok()).await;
    assert_eq!(third.await.unwrap().status(), 200);
    fake.processes(2).await;
}

#[tokio::test]
async fn beyond_the_bound_a_request_waits_for_a_process() {
    let fake = Fake::start(1, Duration::from_secs(20)).await;
    let (one, other) = (fake.get(), fake.get());
    let process = fake.process().await;
    for _ in 0..2 {
        let work = process.fetch(&fake.client).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        process.answer(&fake.client, &work, &ok()).await;
    }
    assert!(one.await.unwrap().status().is_success() && other.await.unwrap().status().is_success());
    assert_eq!(fake.process().await, process);
}

#[tokio::test]
async fn a_request_whose_process_dies_is_answered_502_and_the_next_one_gets_another() {
    let fake = Fake::usual().await;
    let response = fake.get();
    let process = fake.process().await;
    process.fetch(&fake.client).await;
    process.kill();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"message": "Internal Server Error"}));

    let response = fake.get();
    let processes = fake.processes(2).await;
    let another = processes.into_iter().find(|other| *other != process).unwrap();
    let work = another.fetch(&fake.client).await;
    another.answer(&fake.client, &work, &ok()).await;
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_process_that_dies_while_idle_fails_no_request() {
    let fake = Fake::usual().await;
    fake.exchange(fake.client.get(&fake.route), &ok()).await;
    let process = fake.process().await;
    process.kill();
    let response = fake.get();
    let processes = fake.processes(2).await;
    let another = processes.into_iter().find(|other| *other != process).unwrap();
    let work = another.fetch(&fake.client).await;
    another.answer(&fake.client, &work, &ok()).await;
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_killed() {
    let fake = Fake::start(4, Duration::from_millis(200)).await;
    let response = fake.get();
    let process = fake.process().await;
    process.fetch(&fake.client).await;
    assert_eq!(response.await.unwrap().status(), 504);
    assert!(process.is_gone().await);
}

#[tokio::test]
async fn an_error_that_the_runtime_reports_is_a_500_and_the_process_lives_on() {
    let fake = Fake::usual().await;
    let response = fake.get();
    let process = fake.process().await;
    let work = process.fetch(&fake.client).await;
    process.post(&fake.client, &work, "error", &json!({"errorMessage": "oh"})).await;
    assert_eq!(response.await.unwrap().status(), 500);
    fake.exchange(fake.client.get(&fake.route), &ok()).await;
}

#[tokio::test]
async fn an_invocation_goes_on_when_its_caller_goes_away() {
    let fake = Fake::usual().await;
    let response = fake.get();
    let process = fake.process().await;
    let work = process.fetch(&fake.client).await;
    response.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    process.answer(&fake.client, &work, &ok()).await;
    // A cancelled invocation would have killed its process.
    eventually(async || (fake.function.idle_processes() == [process.id]).then_some(())).await;
    assert!(process.exists());
    fake.exchange(fake.client.get(&fake.route), &ok()).await;
}

#[tokio::test]
async fn killing_ends_busy_and_idle_processes_and_the_next_request_gets_another() {
    let fake = Fake::usual().await;
    let (one, other) = (fake.get(), fake.get());
    let [idle, busy] = fake.processes(2).await.try_into().unwrap();
    let work = idle.fetch(&fake.client).await;
    idle.answer(&fake.client, &work, &ok()).await;
    busy.fetch(&fake.client).await;
    eventually(async || (fake.function.idle_processes() == [idle.id]).then_some(())).await;
    assert_eq!(fake.function.kill().await, 2);
    assert!(!idle.exists() && !busy.exists(), "they are gone by then");
    let mut statuses = [one.await.unwrap().status(), other.await.unwrap().status()];
    statuses.sort();
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 502]);

    let response = fake.get();
    let processes = fake.processes(3).await;
    let another = processes.into_iter().find(|other| *other != idle && *other != busy).unwrap();
    let work = another.fetch(&fake.client).await;
    another.answer(&fake.client, &work, &ok()).await;
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_process_that_has_not_taken_its_request_yet_is_killed_with_it() {
    let fake = Fake::usual().await;
    let response = fake.get();
    let process = fake.process().await;
    fake.function.kill().await;
    assert!(!process.exists());
    assert_eq!(response.await.unwrap().status(), 502);
}

#[tokio::test]
async fn stopping_ends_busy_and_idle_processes() {
    let fake = Fake::usual().await;
    let (one, other) = (fake.get(), fake.get());
    let [idle, busy] = fake.processes(2).await.try_into().unwrap();
    let work = idle.fetch(&fake.client).await;
    idle.answer(&fake.client, &work, &ok()).await;
    busy.fetch(&fake.client).await;
    eventually(async || (fake.function.idle_processes() == [idle.id]).then_some(())).await;
    fake.function.stop().await;
    assert!(idle.is_gone().await && busy.is_gone().await);
    let mut statuses = [one.await.unwrap().status(), other.await.unwrap().status()];
    statuses.sort();
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 503]);
    assert_eq!(fake.get().await.unwrap().status(), 503);
}
