//! HTTP as API Gateway brings it: who calls, what went wrong, and one log line a request.

mod body;
mod caller;
mod cursor;
mod idempotency;
mod observe;
mod params;
mod path;
mod precondition;
mod problem;
pub mod schemas;
mod scope;

pub use body::{BODY_BYTES_MAX, Json};
pub use caller::{Caller, Right};
pub use cursor::CursorKey;
pub use idempotency::idempotency_key;
pub use observe::OwnBody;
pub use params::{Params, instant};
pub use precondition::{IfMatch, has_version};
pub use problem::Problem;
pub use scope::{Notes, OpenScope, Scope};

use axum::Router;

/// Finishes a function's router: every request gets a [`Scope`], every failure becomes problem+json, every answer
/// carries its correlation id, and one line is logged.
pub fn observed(router: Router) -> Router {
    let observed = router.layer(axum::middleware::from_fn(observe::observe));
    let routed = tower::util::MapRequest::new(observed, path::encoded);
    Router::new().fallback_service(routed)
}

/// Serves a router as a Lambda function behind an HTTP API.
///
/// # Errors
/// When the Lambda runtime API ends the connection.
pub async fn serve(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(observed(router)).await
}
