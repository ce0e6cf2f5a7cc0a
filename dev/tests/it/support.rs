//! What the tests share: the product with its surroundings, common actions, and Telnyx's specification.

pub(crate) mod accounts;
pub(crate) mod actions;
pub(crate) mod app;
pub(crate) mod foreign_client;
pub(crate) mod functions;
pub(crate) mod openapi;
pub(crate) mod product;
