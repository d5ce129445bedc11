//! Others that processes under test speak to by HTTP, on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its first line: method, path, version.
    pub line: String,
    /// Its headers, one a line.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Answers requests by a function of them, which says status and text, until the process ends; where it is.
pub(super) fn serve(answer: impl Fn(Request) -> (u16, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that was opened and not used.
            let Some(request) = read(&stream) else { continue };
            let (status, text) = answer(request);
            // It fails if the other side is gone: then nobody waits for it.
            let _ = write!(
                &stream,
                "HTTP/1.1 {status} as this test wants it\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    address
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut line, mut headers, mut length) = (String::new(), String::new(), String::new(), 0);
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    // Up to an empty line.
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if let Some((_, n)) = line.to_ascii_lowercase().split_once("content-length:") {
            length = n.trim().parse().expect("a length");
        }
        headers += &line;
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: first.trim_end().to_owned(),
        headers,
        body,
    })
}

/// Takes whatever is posted, answers with one and the same status, and remembers.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// One that answers with this status.
    pub fn answering(status: u16) -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&taken);
        let address = serve(move |request| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            (status, String::new())
        });
        Self { address, taken }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was posted so far.
    pub fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
