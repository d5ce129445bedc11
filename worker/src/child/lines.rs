//! Lines of a pipe whose writer is not trusted to ever end one.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads lines of at most `max_bytes`.
pub(super) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    max_bytes: usize,
    /// The rest of a line that was too long is to be thrown away.
    is_skipping: bool,
    is_over: bool,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// What is no UTF-8 is replaced.
    pub(super) text: String,
    /// False if it was cut, or the source ended before the line did.
    pub(super) is_whole: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(source: R, max_bytes: usize) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            max_bytes,
            is_skipping: false,
            is_over: false,
        }
    }

    /// The next line, none at the end. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.take_buffered() {
                return Some(line);
            }
            if self.is_over {
                return None;
            }
            self.buffer.reserve(4096);
            match self.source.read_buf(&mut self.buffer).await {
                // An error of a pipe is its end as well: nobody will write again.
                Ok(0) | Err(_) => self.is_over = true,
                Ok(_) => {}
            }
        }
    }

    fn take_buffered(&mut self) -> Option<Line> {
        loop {
            let end = self.buffer.iter().position(|b| *b == b'\n');
            let (length, used, is_whole) = match end {
                Some(at) if at <= self.max_bytes => (at, at + 1, true),
                None if self.buffer.len() <= self.max_bytes && !self.is_over => return None,
                None if self.buffer.is_empty() => return None,
                Some(_) | None => {
                    let length = self.buffer.len().min(self.max_bytes.max(1));
                    (length, length, false)
                }
            };
            let text = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
            self.buffer.drain(..used);
            let was_skipping = std::mem::replace(&mut self.is_skipping, !is_whole);
            if !was_skipping {
                return Some(Line { text, is_whole });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], max_bytes: usize) -> Vec<(String, bool)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("builds");
        runtime.block_on(async {
            let mut lines = Lines::new(bytes, max_bytes);
            let mut all = Vec::new();
            while let Some(line) = lines.next().await {
                all.push((line.text, line.is_whole));
            }
            all
        })
    }

    #[test]
    fn long_lines_are_cut_once_and_the_next_line_is_whole() {
        assert_eq!(
            lines(b"a\n\nb\n", 9),
            [("a".into(), true), (String::new(), true), ("b".into(), true)]
        );
        assert_eq!(
            lines(b"abcdefghij\nk\n", 3),
            [("abc".into(), false), ("k".into(), true)]
        );
        assert_eq!(lines(b"abc\nd", 3), [("abc".into(), true), ("d".into(), false)]);
        assert_eq!(lines(b"", 3), []);
        let long = [vec![b'x'; 100_000], b"\ny\n".to_vec()].concat();
        assert_eq!(lines(&long, 8), [("xxxxxxxx".into(), false), ("y".into(), true)]);
        assert_eq!(lines(&[0xff, b'\n'], 8), [("\u{fffd}".into(), true)]);
    }
}
