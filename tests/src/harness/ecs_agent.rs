//! The agent of ECS as a task sees it, on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// What it answers.
#[derive(Debug, Clone, Copy)]
pub enum AgentMood {
    /// As it is asked to.
    Obeys,
    /// A deployment is under way.
    Blocks,
    /// Not in its form.
    Babbles,
}

/// An agent, and what it was asked. It ends with the process.
#[derive(Debug)]
pub struct EcsAgent {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl EcsAgent {
    /// Starts one.
    pub fn start(mood: AgentMood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(&stream);
                let (mut line, mut length) = (String::new(), 0);
                let mut request = String::new();
                // Head, line by line, up to an empty one.
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    if let Some((_, n)) = line.to_ascii_lowercase().split_once("content-length:") {
                        length = n.trim().parse().expect("a length");
                    }
                    request += &line;
                    line.clear();
                }
                assert!(
                    request.starts_with("PUT /api/task-protection/v1/state "),
                    "{request}"
                );
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body of that length");
                let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                let answer = match mood {
                    AgentMood::Obeys => serde_json::json!({"protection": {
                        "ProtectionEnabled": body["ProtectionEnabled"], "TaskArn": "arn:task",
                    }})
                    .to_string(),
                    AgentMood::Blocks => serde_json::json!({"failure": {
                        "Arn": "arn:task", "Reason": "DEPLOYMENT_BLOCKED", "Detail": "as this test wants it",
                    }})
                    .to_string(),
                    AgentMood::Babbles => "<html>".to_owned(),
                };
                told.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                // It fails if the worker is gone: then nobody waits for it.
                let _ = write!(
                    &stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                    answer.len()
                );
            }
        });
        Self { address, asked }
    }

    /// As ECS tells it to a task.
    pub fn uri(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Whether protection was wanted, each time that it was asked.
    pub fn asked(&self) -> Vec<bool> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |body: &serde_json::Value| body["ProtectionEnabled"].as_bool().expect("it is said");
        asked.iter().map(wanted).collect()
    }
}
