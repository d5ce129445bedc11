//! Which queues a fleet has.

use std::path::Path;

use pipeline::{QueueName, components};

use crate::exit::Failure;

/// The queues of the components in a file, or of those that this producer was built with.
pub fn queues_of(file: Option<&Path>, with_test_stages: bool) -> Result<Vec<QueueName>, Failure> {
    let list = match file {
        None => components::BUILT_IN.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| Failure::Usage(format!("cannot read {}: {e}", path.display())))?,
    };
    let mut queues = components::queues(&components::read(&list).map_err(Failure::Usage)?);
    if with_test_stages {
        queues.extend(components::test_queues());
    }
    Ok(queues)
}
