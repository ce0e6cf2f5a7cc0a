//! What `cargo dev` says while it works, in the form of cargo, whose own lines come between.

use crate::colours::{Colours, Tone};

/// A step begins.
pub(super) fn step(verb: &str, what: &str) {
    eprintln!("{} {what}", Colours::of_stderr().paint(Tone::Good, format!("{verb:>12}")));
}

/// Something may surprise the reader.
pub(super) fn warn(what: &str) {
    eprintln!("{} {what}", Colours::of_stderr().paint(Tone::Warning, "warning:"));
}

/// The command has failed.
pub(super) fn fail(error: &str) {
    eprintln!("{} {error}", Colours::of_stderr().paint(Tone::Bad, "error:"));
}
