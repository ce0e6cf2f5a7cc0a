//! The destination of the functions' output.

use std::fmt::{self, Debug};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use chrono::Local;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use super::readable::Reader;
use crate::colours::{Colours, Tone};

/// Destination of the functions' output.
#[derive(Debug, Clone, Default)]
pub enum Logs {
    /// Our standard error, as it is.
    #[default]
    Stderr,
    /// A file, appended to.
    File(PathBuf),
    /// A writer, as lines for a person.
    Readable(Readable),
}

/// A writer of lines for a person. Clones share it.
#[derive(Clone)]
pub struct Readable {
    writer: Arc<Mutex<dyn Write + Send>>,
    colours: Colours,
}

impl Readable {
    /// Writes to `writer`.
    pub fn new(writer: impl Write + Send + 'static, colours: Colours) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), colours }
    }

    /// Writes to standard error, with colours if it is a terminal.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(io::stderr(), Colours::of_stderr())
    }

    /// Writes one line with the time.
    fn write(&self, line: &str) {
        let time = self.colours.paint(Tone::Faint, Local::now().format("%H:%M:%S"));
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell that standard error is closed.
        let _ = writeln!(writer, "{time}  {line}");
    }

    /// Reads what a process of `function` writes until it has ended.
    async fn follow(self, output: pipe::Receiver, function: String) {
        let mut reader = Reader::new(&function, self.colours);
        let mut lines = BufReader::new(output).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            if let Some(line) = reader.read(&String::from_utf8_lossy(&line)) {
                self.write(&line);
            }
        }
        if let Some(line) = reader.end() {
            self.write(&line);
        }
    }
}

impl Debug for Readable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readable").field("colours", &self.colours).finish_non_exhaustive()
    }
}

impl Logs {
    /// The standard output and the standard error for a new process of `function`.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn open(&self, function: &str) -> Result<[Stdio; 2]> {
        let output: OwnedFd = match self {
            Self::Stderr => io::stderr().as_fd().try_clone_to_owned()?,
            Self::File(path) => appendable(path)?.into(),
            Self::Readable(readable) => {
                let (output, input) = io::pipe()?;
                let output = pipe::Receiver::from_owned_fd(output.into())?;
                tokio::spawn(readable.clone().follow(output, function.to_owned()));
                input.into()
            }
        };
        Ok([output.try_clone()?.into(), output.into()])
    }

    /// Adds a failure that the function could not log itself.
    pub(super) fn failure(&self, function: &str, what: &str) {
        match self {
            Self::Stderr => eprintln!("{function}: {what}"),
            Self::File(path) => {
                // A request fails over its own failure, not over the log.
                let _ = appendable(path).map(|mut file| writeln!(file, "{function}: {what}"));
            }
            Self::Readable(readable) => readable.write(&Reader::new(function, readable.colours).failure(what)),
        }
    }
}

fn appendable(path: &Path) -> Result<File> {
    let file = File::options().append(true).create(true).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}
