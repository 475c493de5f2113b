//! Around every request: its trace, its problem if it has one, and its log line.

use super::scope::Frame;
use super::{Caller, Problem};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use holdfast_domain::event::Trace;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::time::{Duration, Instant};

/// The header in which a caller may bring an id of its own, and gets it back.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// How long a request may take. The function is given 10 s: what it answers itself says how to go on.
const DEADLINE: Duration = Duration::from_secs(9);

/// Requests slower than this are logged as warnings (OPS-2).
const SLOW_MS: u128 = 1_000;

/// Put into the extensions of an answer with the status of a failure that has a body of its own, as a health check has.
#[derive(Clone, Copy)]
pub struct OwnBody;

pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let trace = trace_of(request.headers());
    let frame = Frame { trace, meter: Default::default(), notes: Default::default() };
    let tenant = Caller::of(request.extensions()).map(|caller| caller.tenant.to_string()).unwrap_or_default();
    let route =
        request.extensions().get::<MatchedPath>().map_or("unmatched".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    request.extensions_mut().insert(frame.clone());

    let answered = tokio::time::timeout(DEADLINE, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| Problem::unavailable().into_response());
    let status = response.status();
    let correlation_id = frame.trace.correlation_id.as_str();
    let mut cause = String::new();
    let mut words = frame.notes.words();
    let is_problem = response.extensions_mut().remove::<OwnBody>().is_none();
    if is_problem && (status.is_client_error() || status.is_server_error()) {
        let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| Problem::of_status(status));
        cause = problem.cause().map(|error| crate::telemetry::chain(error)).unwrap_or_default();
        words.outcome = problem.slug();
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.response(correlation_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    if let Ok(value) = HeaderValue::from_str(correlation_id) {
        response.headers_mut().insert(CORRELATION_ID, value);
    }

    let spent = frame.meter.spent();
    // For callers in this process, such as benchmarks; it is not sent.
    response.extensions_mut().insert(spent);
    let duration = start.elapsed();
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                correlation_id,
                traceparent = frame.trace.traceparent,
                tenant,
                route,
                method = method.as_str(),
                status = status.as_u16(),
                duration_ms = duration.as_secs_f64() * 1e3,
                db_calls = spent.calls,
                db_ms = spent.waited.as_secs_f64() * 1e3,
                wcu = spent.wcu,
                rcu = spent.rcu,
                order_id = words.order_id,
                outcome = words.outcome,
                cause,
                "request"
            )
        };
    }
    match (status.is_server_error(), duration.as_millis() > SLOW_MS) {
        (true, _) => log!(error),
        (false, true) => log!(warn),
        (false, false) => log!(info),
    }
    response
}

/// The caller's correlation id and trace context where they are well-formed, otherwise new ones. The caller's trace
/// goes on with a span of our own (https://www.w3.org/TR/trace-context/#traceparent-header).
fn trace_of(headers: &HeaderMap) -> Trace {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id_like = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
    };
    let correlation_id = text("x-correlation-id").filter(id_like).map(str::to_owned);
    let traced = text("traceparent").and_then(trace_id_and_flags);
    let (trace_id, flags) = traced.unwrap_or_else(|| (format!("{:032x}", rand::random::<u128>() | 1), "01".to_owned()));
    let span_id = rand::random::<u64>() | 1;
    Trace {
        correlation_id: correlation_id.unwrap_or_else(|| trace_id.clone()),
        traceparent: format!("00-{trace_id}-{span_id:016x}-{flags}"),
    }
}

fn trace_id_and_flags(traceparent: &str) -> Option<(String, String)> {
    let parts: Vec<_> = traceparent.split('-').collect();
    let [version, trace_id, span_id, flags] = parts[..] else { return None };
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let formed = hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(span_id, 16) && hex(flags, 2);
    let zero = trace_id.bytes().all(|b| b == b'0') || span_id.bytes().all(|b| b == b'0');
    (formed && !zero).then(|| (trace_id.to_owned(), flags.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn out_6_a_well_formed_trace_goes_on() {
        let trace = trace_of(&headers("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(trace.traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert_eq!(trace.correlation_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_malformed_trace_or_id_is_replaced() {
        for bad in [
            "",
            "00-x-y-z",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let trace = trace_of(&headers("traceparent", bad));
            assert!(trace_id_and_flags(&trace.traceparent).is_some(), "{bad:?}");
        }
        assert_eq!(trace_of(&headers("x-correlation-id", "mine-1")).correlation_id, "mine-1");
        assert_ne!(trace_of(&headers("x-correlation-id", "<script>")).correlation_id, "<script>");
    }
}
