//! EventBridge schedules.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::engines::aws::{ACCOUNT, REGION};
use crate::engines::invoker::{Invoker, Outcome};
use crate::template::ScheduleRule;

/// A schedule at work.
pub struct ScheduleSource {
    pub(super) function: String,
    pub(super) rule: ScheduleRule,
    pub(super) invoker: Invoker,
}

impl ScheduleSource {
    /// Invokes the function whenever it is due, for ever.
    pub(super) async fn run(self) {
        loop {
            let now = Timestamp::now();
            let Some(due) = self.rule.recurrence.next(now) else { return };
            tokio::time::sleep(Duration::try_from(due - now).unwrap_or_default()).await;
            let input = self.rule.input.clone().unwrap_or_else(|| scheduled_event(due));
            if let Outcome::Failed(error) = self.invoker.invoke(&self.function, input.into_bytes()).await {
                tracing::warn!(function = self.function, %error, "a scheduled invocation failed");
            }
        }
    }
}

/// The event of a schedule without an input of its own.
fn scheduled_event(due: Timestamp) -> String {
    json!({
        "version": "0",
        "id": Uuid::from_u128(rand::random()).to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": due.to_string(),
        "region": REGION,
        "resources": [],
        "detail": "{}",
    })
    .to_string()
}
