//! What time AWS says it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use pipeline::time::Timestamp;

use crate::error::Fault;
use crate::store::Store;
use crate::table::document::pair;

/// The time that DynamoDB's answers bear, which is in whole seconds: the middle of that second. None if they bear none.
pub(super) async fn ask(store: &Store) -> Result<Option<Timestamp>, Fault> {
    let (asked, time) = look(store).await;
    asked.map(|()| time)
}

/// The same also of an answer that says no.
pub(crate) async fn look(store: &Store) -> (Result<(), Fault>, Option<Timestamp>) {
    let date = ServerDate::default();
    let request = store.clients.dynamodb.get_item().table_name(&store.table);
    let request = request.set_key(Some(pair("CLOCK", "CLOCK")));
    let asked = request.customize().interceptor(date.clone()).send().await;
    let seconds = date.0.load(Ordering::Relaxed);
    let time = (seconds > 0).then_some(Timestamp(seconds * 1000 + 500));
    (asked.map(drop).map_err(Fault::from), time)
}

/// The Date header of the answer, in seconds since 1970.
#[derive(Debug, Clone, Default)]
struct ServerDate(Arc<AtomicU64>);

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "FleetlineServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|text| aws_smithy_types::DateTime::from_str(text, Format::HttpDate).ok());
        let seconds = date.and_then(|date| u64::try_from(date.secs()).ok());
        self.0.store(seconds.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }
}
