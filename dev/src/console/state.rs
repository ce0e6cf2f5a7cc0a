//! What the requests to the console need.

use anyhow::{Context, Result};
use shared::store::Store;

use super::controls::Controls;
use super::kill::Kill;
use crate::postgres::connection::store;
use crate::stack::Stack;
use crate::{loopback, token};

/// The function that a kill ends.
const PURCHASE: &str = "phone-numbers-purchase";

pub(super) struct State {
    /// The address of the functions.
    pub(super) base_url: String,
    pub(super) issuer: token::Issuer,
    pub(super) store: Store,
    pub(super) controls: Controls,
    pub(super) kill: Kill,
}

impl State {
    pub(super) fn of(stack: &Stack) -> Result<Self> {
        let purchase = stack.functions().iter().find(|function| function.definition().name == PURCHASE);
        let purchase = purchase.with_context(|| format!("the template has no {PURCHASE}"))?.clone();
        let controls = Controls::new(loopback::client()?, stack.telnyx().control_url());
        Ok(Self {
            base_url: stack.base_url(),
            issuer: stack.issuer().clone(),
            store: store(stack.database_url())?,
            kill: Kill::new(controls.clone(), purchase),
            controls,
        })
    }
}
