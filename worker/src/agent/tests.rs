//! How often the agent is asked, by a clock that stands in our hand.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use pipeline::Timestamp;
use pipeline::ports::Clock;

use super::*;
use crate::host::real_host;

struct Hand(AtomicU64);

#[async_trait::async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    /// Nothing is late here.
    async fn sleep(&self, _duration: Duration) {
        std::future::pending().await
    }
}

/// An agent that says yes; how often it was asked.
fn agent() -> (Agent, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut bytes = [0; 1024];
                let read = stream.read(&mut bytes).expect("a request");
                request.extend_from_slice(&bytes[..read]);
            }
            let request = String::from_utf8_lossy(&request);
            let (_, body) = request.split_once("\r\n\r\n").expect("a head and a body");
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            let wanted = serde_json::json!({"ProtectionEnabled": true, "ExpiresInMinutes": 10});
            assert_eq!(body, wanted);
            count.fetch_add(1, Ordering::SeqCst);
            let body = r#"{"protection":{"ProtectionEnabled":true}}"#;
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .expect("is read");
        }
    });
    (
        Agent::at(&format!("http://{address}/")).expect("an address"),
        asked,
    )
}

/// A worker whose leases beat keeps its protection; one that stands still asks for nothing, and loses it.
#[tokio::test]
async fn protection_is_prolonged_by_beats_and_not_by_itself() {
    let (agent, asked) = agent();
    let clock = Arc::new(Hand(AtomicU64::new(0)));
    let mut host = real_host(0);
    host.clock = clock.clone();
    let protection = Protection::new(host, Some(agent));
    let _busy = protection.busy();
    assert_eq!(protection.hold().await, Answer::Go);
    for (seconds, times) in [(10, 1), (299, 1), (301, 2), (310, 2), (640, 3)] {
        clock.0.store(seconds, Ordering::SeqCst);
        protection.beat();
        // Whoever asks next waits until the beat's question was answered.
        tokio::task::yield_now().await;
        assert_eq!(protection.hold().await, Answer::Go);
        assert_eq!(asked.load(Ordering::SeqCst), times, "after {seconds} s");
    }
}
