//! What `worker run --json` ends with.

use serde_json::Value;

use super::Said;

/// The report of a run: one JSON object on the last line of standard output.
#[derive(Debug, Clone)]
pub struct RunReport(pub Value);

impl Said {
    /// What `worker run --json` ended with.
    pub fn report(&self) -> RunReport {
        let line = self.stdout.lines().last().unwrap_or_default();
        RunReport(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {self:?}")))
    }
}

impl RunReport {
    /// A text of its own.
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// The step of that name.
    pub fn step(&self, name: &str) -> &Value {
        let steps = self.0["steps"].as_array().into_iter().flatten();
        steps
            .into_iter()
            .find(|step| step["step"] == name)
            .unwrap_or_else(|| panic!("no step {name} in {self:?}"))
    }

    /// A candidate's metric on test.
    pub fn on_test(&self, candidate: &str, metric: &str) -> f64 {
        let candidates = self.0["candidates"].as_array().into_iter().flatten();
        candidates
            .into_iter()
            .find(|c| c["name"] == candidate)
            .and_then(|c| c["test"][metric].as_f64())
            .unwrap_or_else(|| panic!("no {metric} of {candidate} in {self:?}"))
    }
}
