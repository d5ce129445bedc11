//! The agent of ECS as a task sees it, on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::receiver::serve;

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
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let address = serve(move |request| {
            let line = &request.line;
            assert!(line.starts_with("PUT /api/task-protection/v1/state "), "{line}");
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
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
            (200, answer)
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
