//! The HTTP interface: access, input, answers, filters, pages, idempotency keys.

mod access;
mod assign;
mod cors;
mod document;
mod etag;
mod events;
pub(crate) mod idempotency;
mod input;
pub(crate) mod keys;
mod large;
mod list;
mod lives;
mod pages;
mod pending;
mod rates;
mod roles;
mod same_answers;
mod search;
mod service;
mod story;
