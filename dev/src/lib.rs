//! What runs and tests the phone-number functions on one machine.
//!
//! - [`postgres`], [`migrations`], [`demo`]: the database
//! - [`telnyx_simulator`]: Telnyx's number API, simulated
//! - [`secrets_manager`], [`moto`]: AWS Secrets Manager, as a fake of our own and as moto
//! - [`lambda`]: AWS Lambda and API Gateway, as far as the functions see them
//! - [`colours`]: colours for what a person reads
//! - [`containers`]: access from Docker's containers
//! - [`loopback`]: the HTTP client for servers on this machine
//! - [`fault_proxy`]: proxies before Postgres and Telnyx that inject faults
//! - [`stack`]: all of the above as one value, which `cargo dev` and the tests share
//! - [`console`]: a web page that shows all of the above and uses the functions
//! - [`browsers`]: keeps other web pages away from what controls the above
//! - [`invariants`]: whether the database and Telnyx agree
//! - [`chaos`]: random workloads with random faults, checked against the invariants
//! - [`populate`], [`flatness`]: a database with many numbers, and how long requests take there
//! - [`openapi`]: `docs/openapi.json`, made from what the functions declare
//! - [`mod@bench`]: what the functions cost, beside programs to compare with, and many instances at once
//! - [`certificates`]: certificates for servers on this machine
//! - [`affected`]: which artifacts a change affects
//! - [`cli`]: the command line

pub mod affected;
pub mod bench;
pub mod browsers;
pub mod certificates;
pub mod chaos;
mod children;
pub mod cli;
pub mod colours;
pub mod console;
pub mod containers;
pub mod demo;
pub mod fault_proxy;
pub mod flatness;
pub mod invariants;
pub mod lambda;
pub mod listener;
pub mod loopback;
pub mod migrations;
pub mod moto;
pub mod openapi;
pub mod populate;
pub mod postgres;
pub mod secrets_manager;
pub mod stack;
pub mod telnyx_simulator;
pub mod token;
pub mod workspace;
