//! Colours for what a person reads.

use std::fmt::Display;
use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// It has escape sequences of terminals.
    On,
    /// It has none.
    Off,
}

/// What the colour of a text says.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// It went well.
    Good,
    /// It was refused, or needs a look.
    Warning,
    /// It failed.
    Bad,
    /// It is less important than the rest.
    Faint,
    /// It is what to look at first.
    Strong,
}

impl Colours {
    /// For standard output: on if it is a terminal. `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` are respected.
    #[must_use]
    pub fn of_stdout() -> Self {
        Self::of(AutoStream::choice(&io::stdout()))
    }

    /// As [`Colours::of_stdout`], for standard error.
    #[must_use]
    pub fn of_stderr() -> Self {
        Self::of(AutoStream::choice(&io::stderr()))
    }

    fn of(choice: ColorChoice) -> Self {
        if choice == ColorChoice::Never { Self::Off } else { Self::On }
    }

    /// The text in the colour of `tone`.
    #[must_use]
    pub fn paint(self, tone: Tone, text: impl Display) -> String {
        let style = match (self, tone) {
            (Self::Off, _) => Style::new(),
            (Self::On, Tone::Good) => AnsiColor::Green.on_default(),
            (Self::On, Tone::Warning) => AnsiColor::Yellow.on_default(),
            (Self::On, Tone::Bad) => AnsiColor::Red.on_default().bold(),
            (Self::On, Tone::Faint) => Style::new().dimmed(),
            (Self::On, Tone::Strong) => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}
