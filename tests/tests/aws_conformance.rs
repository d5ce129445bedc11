//! Every suite of every port, by the AWS backend at an AWS endpoint: an emulator, unless `FLEETLINE_TEST_ENDPOINT` names
//! another one.

use aws_sdk_s3::primitives::ByteStream;
use backend_aws::Options;
use e2e::harness::Emulator;
use futures::future::BoxFuture;
use pipeline::conformance::World;
use pipeline::{MemoryClass, QueueName, StageName};

/// All cases share a fleet; what they draw at random keeps them apart. Its table is made once.
const NAME: &str = "conformance";
/// Below it lie the sources of all cases.
const SOURCES: &str = "sources";

fn with_world(case: impl AsyncFnOnce(&World)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let emulator = Emulator::shared();
        let host = producer::host::real();
        let options = Options {
            name: NAME.into(),
            bucket: Some(NAME.into()),
            source_buckets: vec![format!("s3://{NAME}/{SOURCES}")],
            ..Options::default()
        };
        let aws = emulator.open(options, &host).await;
        let setup = aws.setup();
        setup.table().await.expect("a table");
        setup.bucket().await.expect("a bucket");
        let stage = format!("t{}", host.random.hex(6));
        let queues = [MemoryClass::Standard, MemoryClass::Large].map(|class| QueueName {
            stage: StageName::new(&stage).expect("made of valid parts"),
            class,
        });
        for queue in &queues {
            setup.queue(queue).await.expect("a queue");
        }
        let scratch = tempfile::tempdir().expect("a folder");
        let config = emulator.config().await;
        let path_style = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
        let s3 = aws_sdk_s3::Client::from_conf(path_style.build());
        let world = World {
            backend: aws.backend.clone(),
            host,
            queues,
            scratch: scratch.path().to_owned(),
            // The emulator takes any receipt that it ever gave.
            refuses_stale_receipts: false,
            put_source: Box::new(move |_, name, bytes| {
                let (s3, key, body) = (s3.clone(), format!("{SOURCES}/{name}"), bytes.to_vec());
                let put: BoxFuture<'_, String> = Box::pin(async move {
                    let request = s3.put_object().bucket(NAME).key(&key);
                    request.body(ByteStream::from(body)).send().await.expect("put");
                    format!("s3://{NAME}/{key}")
                });
                put
            }),
        };
        case(&world).await;
    });
}

pipeline::conformance_tests!(crate::with_world);
