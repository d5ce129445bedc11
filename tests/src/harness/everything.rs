//! A pipeline that makes use of everything that a worker asks of its backend, and what must be true of its runs whatever
//! went wrong meanwhile.

use pipeline::id::{AliasName, ModelName};
use pipeline::{RunId, RunStatus};

use super::Fleet;

/// The stages that it has.
pub const STAGES: &str = "noop,fan-out,flaky,sleep";

/// Its specification: large artifacts and small ones, branches and their join, a failure
/// that passes, work that outlasts its first lease, a promotion.
pub const SPEC: &str = r#"
pipeline = "everything"
[[steps]]
step = "large"
stage = "noop"
params = { write_bytes = 20000000 }
[[steps]]
step = "split"
stage = "fan-out"
params = { branches = 2 }
[[steps]]
step = "part"
stage = "noop"
branches = "from-predecessor"
params = { write_bytes = 100 }
[[steps]]
step = "join"
stage = "noop"
params = { write_bytes = 20000000 }
[[steps]]
step = "read"
stage = "noop"
params = { write_bytes = 10 }
[[steps]]
step = "again"
stage = "flaky"
params = { attempts = 1 }
[[steps]]
step = "long"
stage = "sleep"
params = { ms = 4000 }
[[steps]]
step = "last"
stage = "noop"
params = { write_bytes = 10, register = { model = "m", alias = "champion" } }
"#;

impl Fleet {
    /// Fails unless these runs of [`SPEC`], all that there are, succeed whole, nothing of them happened twice and no message is
    /// left.
    pub fn assert_everything_right(&self, runs: &[RunId]) {
        for run in runs {
            self.wait_for_end(run, RunStatus::Succeeded);
            self.assert_whole(run);
        }
        let model = ModelName::new("m").expect("a model's name");
        let registry = &self.backend().registry;
        let versions = self.block_on(registry.list(&model));
        let versions = versions.expect("versions can be listed");
        assert_eq!(versions.len(), runs.len(), "each registered once: {versions:?}");
        let champion = AliasName::new("champion").expect("an alias");
        let history = self.block_on(registry.history(&model, &champion));
        let history = history.expect("the history can be read");
        assert_eq!(history.len(), 1, "the first one promoted, and once: {history:?}");
        for queue in STAGES.split(',') {
            self.wait_until_empty(queue);
            assert_eq!(self.depth(queue).dead, 0, "{queue}\n{}", self.told());
        }
    }
}
