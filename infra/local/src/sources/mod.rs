//! Event-source mappings and schedules: what polls and invokes on AWS, and nothing does for `cargo lambda watch`.

mod batch;
pub mod deliveries;
mod pattern;
mod queue;
mod schedule;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::engines::aws::JsonService;
use crate::engines::invoker::Invoker;
use crate::template::Application;
use deliveries::Deliveries;
use pattern::Filters;
use queue::QueueSource;
use schedule::ScheduleSource;
pub use stream::StreamPosition;
use stream::StreamSource;

/// What the sources work with.
#[derive(Clone)]
pub struct Services {
    /// Invokes the functions.
    pub invoker: Invoker,
    /// The queues' service.
    pub sqs: JsonService,
    /// The streams' service.
    pub streams: JsonService,
    /// The URL of each queue by its ARN.
    pub queue_urls: BTreeMap<String, String>,
    /// The ARN of the table's stream.
    pub stream_arn: String,
}

/// All sources of an application, at work.
pub struct Sources {
    tasks: JoinSet<()>,
    /// How far each stream mapping is.
    pub streams: Vec<Arc<StreamPosition>>,
    /// What the queue mappings delivered.
    pub deliveries: Arc<Deliveries>,
}

impl Sources {
    /// Starts the sources of `application`.
    ///
    /// # Errors
    /// When a mapping uses something that this tool does not play.
    pub fn start(application: &Application, services: &Services) -> anyhow::Result<Self> {
        let mut sources = Self { tasks: JoinSet::new(), streams: Vec::new(), deliveries: Arc::default() };
        for function in &application.functions {
            let context = || format!("the sources of {}", function.name);
            for mapping in &function.queues {
                mapping.check().with_context(context)?;
                let source = QueueSource {
                    function: function.name.clone(),
                    filters: Filters::parse(&mapping.filter_criteria).with_context(context)?,
                    url: services.queue_urls.get(&mapping.queue).with_context(context)?.clone(),
                    mapping: mapping.clone(),
                    services: services.clone(),
                    deliveries: Arc::clone(&sources.deliveries),
                };
                sources.tasks.spawn(source.run());
            }
            for mapping in &function.streams {
                mapping.check().with_context(context)?;
                let failures = mapping.destination_config.on_failure.as_ref();
                let failures = failures.map(|to| services.queue_urls.get(&to.destination).with_context(context));
                let position = Arc::new(StreamPosition::default());
                let source = StreamSource {
                    function: function.name.clone(),
                    filters: Filters::parse(&mapping.filter_criteria).with_context(context)?,
                    failures_url: failures.transpose()?.cloned(),
                    mapping: mapping.clone(),
                    services: services.clone(),
                    position: Arc::clone(&position),
                    shard: OnceLock::new(),
                };
                sources.streams.push(position);
                sources.tasks.spawn(source.run());
            }
            for rule in &function.schedules {
                let source = ScheduleSource {
                    function: function.name.clone(),
                    rule: rule.clone(),
                    invoker: services.invoker.clone(),
                };
                sources.tasks.spawn(source.run());
            }
        }
        Ok(sources)
    }

    /// Stops all sources. What they had in hand stays in its queue or stream.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
