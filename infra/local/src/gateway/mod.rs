//! API Gateway: an HTTP API with a JWT authorizer and Lambda integrations of payload format 2.0.

mod authorizer;
mod payload;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::engines::invoker::{Invoker, Outcome};
use crate::engines::server::Server;
use crate::template::Function;
use authorizer::{Authorizer, Refusal};
use payload::Caller;
use routes::RouteTable;

/// The longest body that API Gateway takes, in bytes.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// How long API Gateway waits for an integration.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The gateway. It stops when it is dropped.
pub struct Gateway {
    server: Server,
}

impl Gateway {
    /// Starts a gateway with the routes of `functions`.
    ///
    /// # Errors
    /// When no port is free, or the local key cannot be read.
    pub async fn start(functions: &[Function], invoker: Invoker) -> anyhow::Result<Self> {
        let server = Server::start(|port| {
            let routes = RouteTable::new(functions);
            let shared = Arc::new(Shared { routes, authorizer: Authorizer::new()?, invoker, port });
            Ok(Router::new().fallback(handle).with_state(shared))
        });
        Ok(Self { server: server.await? })
    }

    /// The base URL of the API.
    pub fn url(&self) -> &str {
        self.server.url()
    }
}

struct Shared {
    routes: RouteTable,
    authorizer: Authorizer,
    invoker: Invoker,
    port: u16,
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(matched) = shared.routes.find(head.method.as_str(), head.uri.path()) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let caller = if matched.route.authorized {
        match shared.authorizer.check(&head.headers, &matched.route.scopes) {
            Ok(caller) => Some(caller),
            Err(refusal) => return refuse(refusal),
        }
    } else {
        None
    };
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = payload::event(&head, &body, &matched, caller.as_ref(), shared.port);
    let invocation = shared.invoker.invoke(matched.function, event);
    match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        Ok(Outcome::Answered(answer)) => payload::response(&answer).unwrap_or_else(|error| {
            tracing::warn!(function = matched.function, %error, "an answer has no form that API Gateway knows");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Ok(Outcome::Failed(error)) => {
            tracing::warn!(function = matched.function, %error, "a function failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

fn refuse(refusal: Refusal) -> Response {
    let (status, text, challenge) = match refusal {
        Refusal::NoToken => (StatusCode::UNAUTHORIZED, "Unauthorized", "Bearer"),
        Refusal::BadToken => (StatusCode::UNAUTHORIZED, "Unauthorized", "Bearer error=\"invalid_token\""),
        Refusal::NoScope => (StatusCode::FORBIDDEN, "Forbidden", "Bearer error=\"insufficient_scope\""),
    };
    let mut response = message(status, text);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn message(status: StatusCode, text: &str) -> Response {
    let body = serde_json::json!({ "message": text }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests;
