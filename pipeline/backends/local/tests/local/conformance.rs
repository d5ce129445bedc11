//! Every suite, each case in a folder of its own.

use pipeline::conformance::World;

use crate::host;

pub(crate) fn with_world(case: impl AsyncFnOnce(&World)) {
    let folder = host::folder();
    host::block_on(async {
        let local = host::open(folder.path());
        case(&host::world(&local)).await;
    });
}

pipeline::conformance_tests!(crate::conformance::with_world);
