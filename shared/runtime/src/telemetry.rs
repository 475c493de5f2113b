//! Logs: one JSON object a line on standard output, as CloudWatch Logs reads them.

use holdfast_domain::event::Trace;
use tracing_subscriber::EnvFilter;

/// The target of lines that an alarm waits for: they are written at any level of `LOG_LEVEL`.
pub const METRICS: &str = "metrics";

/// Starts logging at the level of `LOG_LEVEL` (as AWS Lambda Powertools names it), `INFO` if it is not set. Libraries
/// speak up from `WARN` on.
pub fn start() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "INFO".to_owned()).to_ascii_lowercase();
    let level = match level.as_str() {
        "trace" | "debug" | "info" | "warn" | "error" => level.as_str(),
        _ => "info",
    };
    let ours = [
        "holdfast_store",
        "holdfast_runtime",
        "orders",
        "inventory",
        "catalog",
        "outbox_relay",
        "order_worker",
        "maintenance",
        "ops",
        "payment_webhooks",
        "webhooks",
        "notifier",
        "exports",
        "exporter",
    ];
    let filter =
        ours.iter().fold(format!("warn,{METRICS}=info"), |filter, target| format!("{filter},{target}={level}"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(EnvFilter::new(filter))
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// An error with everything that caused it, on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The same trace with a span of its own, for what follows from a message.
pub fn child(trace: &Trace) -> Trace {
    let mut parts = trace.traceparent.split('-');
    let (Some(version), Some(trace_id), Some(_), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return trace.clone();
    };
    let span_id = rand::random::<u64>() | 1;
    let traceparent = format!("{version}-{trace_id}-{span_id:016x}-{flags}");
    Trace { correlation_id: trace.correlation_id.clone(), traceparent }
}
