//! What people and scripts see: data on standard output, everything else on standard error.

mod log;
mod output;
mod table;
mod words;

pub use log::log_line;
pub use output::{Output, complain};
pub use table::{Cell, Colour, Table};
pub use words::{ago, count, duration, printable, size, until};
