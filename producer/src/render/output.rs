//! Where commands write.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::exit::Failure;
use crate::render::{Colour, Table, printable};

/// Data go to standard output, messages to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    is_json: bool,
    is_coloured: bool,
}

impl Output {
    /// An output of that form.
    pub fn new(is_json: bool, is_coloured: bool) -> Self {
        Self { is_json, is_coloured }
    }

    /// True if scripts read it: one JSON document, or one per line of a stream.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// True if somebody watches both outputs at a terminal.
    pub fn is_live(&self) -> bool {
        !self.is_json && io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// `text` in colour, if colours are wanted.
    pub fn paint(&self, text: &str, colour: Option<Colour>) -> String {
        match colour.filter(|_| self.is_coloured) {
            Some(colour) => format!("{}{text}\x1b[0m", colour.code()),
            None => text.to_owned(),
        }
    }

    /// One line of data.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// A table of data.
    pub fn table(&self, table: &Table) -> Result<(), Failure> {
        self.raw(table.render(self.is_coloured).as_bytes())
    }

    /// A JSON document, on one line.
    pub fn json(&self, document: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(document).map_err(|e| Failure::Output(e.into()))?;
        text.push(b'\n');
        self.raw(&text)
    }

    /// Bytes as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// A message to the person at the keyboard; scripts that read JSON do not need it.
    pub fn say(&self, message: &str) {
        if !self.is_json {
            to_stderr(message);
        }
    }
}

/// An error, on standard error whatever the form of the output.
pub fn complain(message: &str) {
    let mut lines = message.lines();
    to_stderr(&format!("producer: {}", lines.next().unwrap_or_default()));
    for line in lines {
        to_stderr(&format!("  {line}"));
    }
}

fn to_stderr(message: &str) {
    // A closed standard error must not end the command.
    let _ = writeln!(io::stderr().lock(), "{}", printable(message));
}
