//! The console: a web page that uses the functions as a web app does, and shows what is behind them.
//!
//! It has a listener of its own, so that the page calls the functions from another origin. Only the page itself may send requests
//! to the listener.
//!
//! - `guard` refuses requests of other pages
//! - `page` serves the page, `api` answers its requests, `state` is what they need
//! - `controls` is a client of the simulator's controls, `kill` ends a function in the middle of a purchase

mod api;
mod controls;
mod guard;
mod kill;
mod page;
mod state;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};

use self::guard::Guard;
use self::state::State;
use crate::listener::Listener;
use crate::stack::Stack;

/// The running console; it stops when dropped.
#[derive(Debug)]
pub struct Console {
    listener: Listener,
}

impl Console {
    /// Starts the console of `stack` on `port` of 127.0.0.1; 0 means any free one.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(port: u16, stack: &Stack) -> Result<Self> {
        let state = Arc::new(State::of(stack)?);
        let router = |port| {
            let guard = Guard { port, functions: state.base_url.clone() };
            Router::new()
                .route("/", get(page::index))
                .route("/{file}", get(page::file))
                .route("/api/session", get(api::session))
                .route("/api/findings", get(api::findings))
                .route("/api/kill", get(api::kill).put(api::set_kill))
                .route("/api/telnyx/{*control}", any(api::control))
                .with_state(state)
                .layer(from_fn_with_state(Arc::new(guard), guard::guarded))
        };
        Ok(Self { listener: Listener::start_with(port, router).await? })
    }

    /// Such as `http://127.0.0.1:9200`.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }
}
