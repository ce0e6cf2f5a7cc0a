//! Keeps instances busy: each with one call at a time, and the next one as soon as it has answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::requests::{self, Requests};
use crate::bench::process::has_status;
use crate::lambda::functions::Function;

/// How long each instance is kept busy.
#[derive(Debug, Clone, Copy)]
pub enum Busy {
    /// It begins no further call after this time.
    For(Duration),
    /// It answers this many calls.
    Calls(usize),
}

/// What the instances did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// How long each right answer took.
    pub(super) times: Vec<Duration>,
    /// The other answers, and how many there were of each.
    pub(super) errors: BTreeMap<String, usize>,
    /// Right answers a second. Each instance counts until its own last answer, so that it does not matter that some end earlier.
    pub(super) calls_per_second: f64,
}

impl Done {
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 calls")]
    fn of_one(times: Vec<Duration>, errors: BTreeMap<String, usize>, busy: Duration) -> Self {
        let calls_per_second = times.len() as f64 / busy.as_secs_f64();
        Self { times, errors, calls_per_second }
    }

    fn and(mut self, other: Self) -> Self {
        self.times.extend(other.times);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        self.calls_per_second += other.calls_per_second;
        self
    }
}

/// Keeps all instances busy at once.
pub(super) async fn work(instances: &[Function], requests: &Arc<Requests>, busy: Busy) -> Result<Done> {
    let work = instances.iter().cloned().enumerate().map(|(index, instance)| {
        let requests = Arc::clone(requests);
        tokio::spawn(async move { work_of_one(index, &instance, &requests, busy).await })
    });
    let mut all = Done::default();
    for done in try_join_all(work.collect::<Vec<_>>()).await? {
        all = all.and(done?);
    }
    all.times.sort_unstable();
    Ok(all)
}

async fn work_of_one(index: usize, instance: &Function, requests: &Requests, busy: Busy) -> Result<Done> {
    let (mut times, mut errors) = (Vec::new(), BTreeMap::new());
    let (began, mut calls) = (Instant::now(), 0);
    while match busy {
        Busy::For(time) => began.elapsed() < time,
        Busy::Calls(most) => calls < most,
    } {
        let event = requests.next(index)?;
        let sent = Instant::now();
        let answer = instance.invoke(Uuid::new_v4().to_string(), event).await;
        let time = sent.elapsed();
        calls += 1;
        let error = match answer {
            Ok(answer) if has_status(&answer, 200) => {
                times.push(time);
                continue;
            }
            Ok(answer) => requests::problem(&answer)?,
            Err(failure) => format!("no answer: {failure:?}"),
        };
        *errors.entry(error).or_default() += 1;
    }
    Ok(Done::of_one(times, errors, began.elapsed()))
}
