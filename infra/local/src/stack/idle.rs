//! Tells whether anything is still under way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engines::aws::JsonService;
use crate::engines::invoker::Invoker;
use crate::sources::{Services, Sources, StreamPosition};
use crate::template::Application;

/// How long a stream may take to be found at its end.
const STREAM_PATIENCE: Duration = Duration::from_secs(2);

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that were received and not yet deleted.
    pub in_flight: u64,
    /// Messages that cannot be received yet, such as timers.
    pub delayed: u64,
}

/// What is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Invocations that have not ended.
    pub invocations: u64,
    /// Whether the stream has, or may have, records that were not handled.
    pub stream: bool,
    /// Queues that a function reads and that are not empty, by their names in the template.
    pub queues: BTreeMap<String, QueueDepth>,
}

impl fmt::Display for Busy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.invocations > 0 {
            parts.push(format!("{} invocations", self.invocations));
        }
        if self.stream {
            parts.push("stream records".to_owned());
        }
        for (name, depth) in &self.queues {
            parts.push(format!("{name}: {} visible, {} in flight", depth.visible, depth.in_flight));
        }
        out.write_str(&parts.join("; "))
    }
}

/// Watches a stack.
pub struct Watch {
    sqs: JsonService,
    invoker: Option<Invoker>,
    streams: Vec<Arc<StreamPosition>>,
    /// URLs of all queues by logical id.
    queues: BTreeMap<String, String>,
    /// Logical ids of the queues that a function reads.
    read: Vec<String>,
}

impl Watch {
    /// Watches the engines alone.
    pub fn engines(sqs: JsonService, application: &Application, queues: &BTreeMap<String, String>) -> Self {
        let mappings = || application.functions.iter().flat_map(|function| &function.queues);
        let read = application.queues.iter().filter(|queue| mappings().any(|mapping| mapping.queue == queue.arn));
        Self {
            sqs,
            invoker: None,
            streams: Vec::new(),
            queues: queues.clone(),
            read: read.map(|queue| queue.logical_id.clone()).collect(),
        }
    }

    /// Watches the engines and what works on them.
    pub fn application(
        services: &Services,
        application: &Application,
        sources: &Sources,
        queues: &BTreeMap<String, String>,
    ) -> Self {
        Self {
            invoker: Some(services.invoker.clone()),
            streams: sources.streams.clone(),
            ..Self::engines(services.sqs.clone(), application, queues)
        }
    }

    /// What is under way, if anything is.
    ///
    /// A change travels from an invocation to the table, its stream, a function, a queue, a function, and may begin
    /// again. So nothing is under way only if nothing was in hand, then the queues were empty, and then a read of the
    /// stream that began after that found nothing that is new since the start.
    pub async fn idle(&self) -> anyhow::Result<Option<Busy>> {
        let read = self.records_read();
        let mut busy = self.in_hand();
        let depths = self.queue_depths().await?;
        let waits = |depth: &QueueDepth| depth.visible + depth.in_flight > 0;
        busy.queues = depths.into_iter().filter(|(name, depth)| self.read.contains(name) && waits(depth)).collect();
        if busy != Busy::default() {
            return Ok(Some(busy));
        }
        busy.stream = !self.streams_end().await;
        let now = self.in_hand();
        busy.invocations = now.invocations;
        busy.stream |= now.stream || self.records_read() != read;
        Ok((busy != Busy::default()).then_some(busy))
    }

    /// The depth of every queue by logical id.
    pub async fn queue_depths(&self) -> anyhow::Result<BTreeMap<String, QueueDepth>> {
        let mut depths = BTreeMap::new();
        for (name, url) in &self.queues {
            let request = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
            let answer = self.sqs.call("GetQueueAttributes", &request).await?;
            let count = |attribute: &str| {
                let value = &answer["Attributes"][format!("ApproximateNumberOfMessages{attribute}")];
                value.as_str().and_then(|value| value.parse().ok()).unwrap_or_default()
            };
            let depth = QueueDepth { visible: count(""), in_flight: count("NotVisible"), delayed: count("Delayed") };
            depths.insert(name.clone(), depth);
        }
        Ok(depths)
    }

    fn in_hand(&self) -> Busy {
        Busy {
            invocations: self.invoker.as_ref().map_or(0, Invoker::in_flight),
            stream: self.streams.iter().any(|stream| stream.pending() > 0),
            queues: BTreeMap::new(),
        }
    }

    fn records_read(&self) -> u64 {
        self.streams.iter().map(|stream| stream.read()).sum()
    }

    /// Waits until every stream was read from now on and found at its end.
    async fn streams_end(&self) -> bool {
        let began = Instant::now();
        // One read may have been under way before, so the second is the first that began after now.
        let enough: Vec<u64> = self.streams.iter().map(|stream| stream.reads_at_end() + 2).collect();
        while self.streams.iter().zip(&enough).any(|(stream, enough)| stream.reads_at_end() < *enough) {
            if began.elapsed() > STREAM_PATIENCE {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }
}
