//! Runs a function as Lambda does: processes that serve one request at a time, started on demand.

pub mod build;
mod failure;
mod instance;
mod logs;
mod readable;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

pub use self::failure::Failure;
use self::instance::Instance;
pub use self::instance::Launch;
pub use self::logs::{Logs, Readable};
use crate::lambda::runtime_api::{Answer, RuntimeApi};
use crate::lambda::template::Definition;

/// The maximum number of processes of one function.
pub const MAX_PROCESSES: usize = 10;
/// How long a request waits for a free process.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// One function and its processes.
#[derive(Debug, Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    definition: Definition,
    runtime_api: Arc<RuntimeApi>,
    launch: Launch,
    places: Arc<Semaphore>,
    max_processes: usize,
    processes: Mutex<Processes>,
    stopping: watch::Sender<bool>,
}

/// The processes. Replaced as a whole when all are killed.
#[derive(Debug, Default)]
struct Processes {
    /// The most recently used one is last, and is used first, as in Lambda.
    idle: Vec<Instance>,
    /// Each process, idle or busy, has a receiver until it has ended, and must end when a value is sent. There are no other
    /// receivers.
    alive: watch::Sender<()>,
}

impl Function {
    /// A function without processes. They start on demand.
    #[must_use]
    pub fn new(definition: Definition, launch: Launch, max_processes: usize, runtime_api: Arc<RuntimeApi>) -> Self {
        let inner = Inner {
            definition,
            runtime_api,
            launch,
            places: Arc::new(Semaphore::new(max_processes)),
            max_processes,
            processes: Mutex::default(),
            stopping: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its definition in the template.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.inner.definition
    }

    /// Invokes the function with `event`. As in Lambda, the invocation continues if the caller disconnects.
    ///
    /// # Errors
    /// The [`Failure`].
    pub async fn invoke(&self, request_id: String, event: Bytes) -> Result<Bytes, Failure> {
        let inner = Arc::clone(&self.inner);
        let invocation = tokio::spawn(async move { inner.invoke(&request_id, event).await });
        invocation.await.unwrap_or(Err(Failure::Died))
    }

    /// The ids of the idle processes.
    #[must_use]
    pub fn idle_processes(&self) -> Vec<u32> {
        self.inner.processes().idle.iter().filter_map(Instance::process_id).collect()
    }

    /// Kills every process, idle or busy, waits until all have ended, and returns their number. Requests in progress fail with
    /// [`Failure::Died`]; the next one starts a new process.
    pub async fn kill(&self) -> usize {
        let Processes { idle, alive } = {
            let mut processes = self.inner.processes();
            processes.alive.send_replace(());
            std::mem::take(&mut *processes)
        };
        let killed = alive.receiver_count();
        for instance in idle {
            instance.end().await;
        }
        alive.closed().await;
        killed
    }

    /// Ends every process, idle or busy. Further requests are refused.
    pub fn begin_stop(&self) {
        self.inner.stopping.send_replace(true);
        self.inner.processes().idle.clear();
    }

    /// As [`Function::begin_stop`], and waits until all processes have ended.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        let idle = std::mem::take(&mut self.inner.processes().idle);
        for instance in idle {
            instance.end().await;
        }
        // Every busy process holds a place until it has ended.
        let all = u32::try_from(self.inner.max_processes).unwrap_or(u32::MAX);
        let _ = self.inner.places.acquire_many(all).await;
    }
}

impl Inner {
    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn invoke(&self, request_id: &str, event: Bytes) -> Result<Bytes, Failure> {
        let _place = self.place().await?;
        loop {
            let reused = self.take_idle();
            let is_new = reused.is_none();
            let mut instance = match reused {
                Some(instance) => instance,
                None => self.start().await?,
            };
            let mut stopping = self.stopping.subscribe();
            let outcome = tokio::select! {
                outcome = instance.invoke(&self.definition, request_id, event.clone()) => outcome,
                _ = stopping.wait_for(|&stopping| stopping) => instance::Outcome::Failed(Failure::Unavailable),
            };
            match outcome {
                instance::Outcome::Answered(answer) => {
                    self.give_back(instance).await;
                    return self.result(answer);
                }
                // It ended while it was idle, before it fetched the event.
                instance::Outcome::NeverFetched if !is_new => instance.end().await,
                instance::Outcome::NeverFetched => return Err(Failure::Died),
                instance::Outcome::Failed(failure) => {
                    instance.end().await;
                    self.log(failure);
                    return Err(failure);
                }
            }
        }
    }

    fn result(&self, answer: Answer) -> Result<Bytes, Failure> {
        match answer {
            Answer::Response(body) => Ok(body),
            Answer::Error(body) => {
                let reported: Value = serde_json::from_slice(&body).unwrap_or_default();
                self.launch.logs.failure(&self.definition.name, reported["errorMessage"].as_str().unwrap_or("it reported an error"));
                Err(Failure::Reported)
            }
        }
    }

    /// Logs what the function cannot log, because it has been ended.
    fn log(&self, failure: Failure) {
        let Definition { name, timeout, .. } = &self.definition;
        match failure {
            Failure::Died => self.launch.logs.failure(name, "the process ended before it answered"),
            Failure::TimedOut => {
                let what = format!("the process was ended, because it did not answer within {} s", timeout.as_secs());
                self.launch.logs.failure(name, &what);
            }
            Failure::Unavailable | Failure::Reported => {}
        }
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            _ = stopping.wait_for(|&stopping| stopping) => Err(Failure::Unavailable),
            place = timeout(QUEUE_TIMEOUT, Arc::clone(&self.places).acquire_owned()) => match place {
                Ok(Ok(place)) => Ok(place),
                Ok(Err(_)) | Err(_) => Err(Failure::Unavailable),
            },
        }
    }

    /// The most recently used idle process that is still running.
    fn take_idle(&self) -> Option<Instance> {
        let idle = &mut self.processes().idle;
        std::iter::from_fn(|| idle.pop()).find_map(|mut instance| instance.is_alive().then_some(instance))
    }

    async fn give_back(&self, instance: Instance) {
        if let Some(instance) = self.keep(instance) {
            instance.end().await;
        }
    }

    /// Keeps a process for the next request. Returns it if it must end.
    fn keep(&self, instance: Instance) -> Option<Instance> {
        // While this is locked, no process is told to end.
        let mut processes = self.processes();
        if *self.stopping.borrow() || instance.is_killed() {
            return Some(instance);
        }
        processes.idle.push(instance);
        None
    }

    async fn start(&self) -> Result<Instance, Failure> {
        let alive = self.processes().alive.subscribe();
        let started = Instance::start(&self.definition, &self.launch, self.runtime_api.endpoint(), alive).await;
        started.map_err(|error| {
            self.launch.logs.failure(&self.definition.name, &format!("{error:#}"));
            Failure::Died
        })
    }
}

/// The program of each function, by name.
pub type Programs = BTreeMap<String, PathBuf>;
