//! What monitoring sees of a process: an HTTP client of a few lines, and the text format of Prometheus.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status, such as 200.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// Asks for `path`.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    try_get(address, path).unwrap_or_else(|e| panic!("cannot ask {address}: {e}"))
}

/// The same of a process that may not answer, or end meanwhile.
pub(super) fn try_get(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if text.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
        body: body.to_owned(),
    })
}

/// One line of `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Answer {
    /// The body as samples.
    pub fn samples(&self) -> Vec<Sample> {
        self.body
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| sample(line).unwrap_or_else(|| panic!("{line:?} is no sample")))
            .collect()
    }

    /// The sum of all samples of that name with these labels, and perhaps others.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |s: &Sample| {
            labels
                .iter()
                .all(|(k, v)| s.labels.get(*k).is_some_and(|have| have == v))
        };
        self.samples()
            .iter()
            .filter(|s| s.name == name && has(s))
            .map(|s| s.value)
            .sum()
    }
}

/// Reads `name{label="value",…} 1.5`. Our labels hold neither quotes nor commas.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    });
    Some(Sample {
        name: name.to_owned(),
        labels: labels.collect::<Option<_>>()?,
        value: value.parse().ok()?,
    })
}
