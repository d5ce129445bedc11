//! As much of HTTP/1.1 as a proxy needs that passes whole messages on: where each one ends, and which operation it is.

use std::io::{Error, ErrorKind, Result};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// One side's connection, with what was read of it and not used yet.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

/// The head of a request, which says what it is.
pub(super) struct Head(String);

/// A whole request or answer.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The head of the next request, which stays to be read with the rest; none at the end of the connection.
    pub(super) async fn request(&mut self) -> Result<Option<Head>> {
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(None);
        }
        let end = self.head().await?;
        Ok(Some(Head(
            String::from_utf8_lossy(&self.buffer[..end]).into_owned(),
        )))
    }

    /// The whole request.
    pub(super) async fn rest(&mut self) -> Result<Message> {
        self.message(false).await
    }

    /// The answer to a request.
    pub(super) async fn answer(&mut self, to_head: bool) -> Result<Message> {
        self.message(to_head).await
    }

    async fn message(&mut self, has_no_body: bool) -> Result<Message> {
        let head = self.head().await?;
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let status = text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .unwrap_or_default();
        let end = if has_no_body || matches!(status, "204" | "304") {
            head
        } else if header(&text, "transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            self.chunks(head).await?
        } else {
            let length = header(&text, "content-length").map_or(Ok(0), str::parse::<usize>);
            head + length.map_err(|_| broken("a length that is no number"))?
        };
        while self.buffer.len() < end {
            self.must_have_more().await?;
        }
        let rest = self.buffer.split_off(end);
        Ok(Message {
            bytes: std::mem::replace(&mut self.buffer, rest),
        })
    }

    /// Where the head ends.
    async fn head(&mut self) -> Result<usize> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n", 0) {
                return Ok(at + 4);
            }
            self.must_have_more().await?;
        }
    }

    /// Where a body in chunks ends that begins at `at`.
    async fn chunks(&mut self, mut at: usize) -> Result<usize> {
        loop {
            let line = self.line(at).await?;
            let size = String::from_utf8_lossy(&self.buffer[at..line]).into_owned();
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| broken("a chunk without a size"))?;
            at = line + 2;
            if size == 0 {
                break;
            }
            at += size + 2;
        }
        // Trailers, up to an empty line.
        loop {
            let line = self.line(at).await?;
            let is_last = line == at;
            at = line + 2;
            if is_last {
                return Ok(at);
            }
        }
    }

    /// Where the line ends that begins at `from`.
    async fn line(&mut self, from: usize) -> Result<usize> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n", from) {
                return Ok(at);
            }
            self.must_have_more().await?;
        }
    }

    async fn more(&mut self) -> Result<bool> {
        self.buffer.reserve(64 * 1024);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    async fn must_have_more(&mut self) -> Result<()> {
        match self.more().await? {
            true => Ok(()),
            false => Err(Error::from(ErrorKind::UnexpectedEof)),
        }
    }
}

impl Head {
    /// As AWS names it.
    pub(super) fn operation(&self) -> String {
        let text = &self.0;
        if let Some(target) = header(text, "x-amz-target") {
            return target.rsplit('.').next().unwrap_or_default().to_owned();
        }
        let mut words = text.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // Buckets stand in the path here.
        let has_key = path.trim_matches('/').contains('/');
        match (method, has_key) {
            ("GET", true) => "GetObject",
            ("GET", false) => "ListObjectsV2",
            ("HEAD", _) => "HeadObject",
            ("PUT", true) if query.contains("partNumber=") => "UploadPart",
            ("PUT", true) => "PutObject",
            ("POST", true) if query.contains("uploadId=") => "CompleteMultipartUpload",
            ("POST", true) if query.contains("uploads") => "CreateMultipartUpload",
            ("DELETE", true) if query.contains("uploadId=") => "AbortMultipartUpload",
            ("DELETE", true) => "DeleteObject",
            // What asks by a form, as STS does.
            _ => "other",
        }
        .to_owned()
    }

    /// An answer that refuses it, in the form of the service that it asks.
    pub(super) fn refusal(&self, status: u16, code: &str) -> Vec<u8> {
        let body = match header(&self.0, "x-amz-target") {
            Some(_) => format!(r#"{{"__type":"com.amazonaws#{code}","message":"refused on purpose"}}"#),
            None => format!("<Error><Code>{code}</Code><Message>refused on purpose</Message></Error>"),
        };
        // An answer to HEAD has no body, and says how long it would be.
        let length = body.len();
        let body = if self.is_head() { "" } else { &body };
        format!("HTTP/1.1 {status} refused\r\nContent-Length: {length}\r\nx-amzn-RequestId: 1\r\n\r\n{body}")
            .into_bytes()
    }

    pub(super) fn is_head(&self) -> bool {
        self.0.starts_with("HEAD ")
    }
}

impl Message {
    /// The same with another date.
    pub(super) fn dated(&self, date: &str) -> Vec<u8> {
        let end = find(&self.bytes, b"\r\n\r\n", 0).unwrap_or(self.bytes.len());
        let (head, body) = self.bytes.split_at(end);
        let head = String::from_utf8_lossy(head);
        let is_date = |line: &&str| line.to_ascii_lowercase().starts_with("date:");
        let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !is_date(line)).collect();
        let date = format!("Date: {date}");
        lines.push(&date);
        [lines.join("\r\n").as_bytes(), body].concat()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let at = bytes
        .get(from..)?
        .windows(wanted.len())
        .position(|window| window == wanted)?;
    Some(from + at)
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
