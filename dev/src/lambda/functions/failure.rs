//! Why an invocation fails.

/// Why an invocation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// All processes were busy for too long, or we are stopping.
    Unavailable,
    /// The process ended, or could not be started.
    Died,
    /// It exceeded the function's timeout and was killed.
    TimedOut,
    /// The handler returned an error.
    Reported,
}
