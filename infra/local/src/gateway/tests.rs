//! The gateway before a function made up here.

use std::collections::BTreeMap;

use axum::Json;
use axum::routing::post;
use serde_json::{Value, json};

use super::*;
use crate::engines::ports;
use crate::template::Route;
use crate::token::{Claims, sign};

/// A function that tells the route and the tenant it was called with, and fails when it is asked to.
async fn invoke(Json(event): Json<Value>) -> Response {
    if event["body"] == "fail" {
        let error = json!({ "errorType": "Asked", "errorMessage": "to fail" });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
    }
    let tenant = &event["requestContext"]["authorizer"]["jwt"]["claims"]["tenant"];
    let body = json!({ "route": event["routeKey"], "tenant": tenant }).to_string();
    Json(json!({ "statusCode": 201, "headers": { "etag": "\"1\"" }, "body": body })).into_response()
}

async fn gateway() -> Gateway {
    let router = Router::new().route("/2015-03-31/functions/orders/invocations", post(invoke));
    let (listener, address) = ports::listen().await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let functions = [Function {
        logical_id: "OrdersFunction".to_owned(),
        name: "orders".to_owned(),
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(3),
        memory: 128,
        routes: vec![Route {
            method: "POST".to_owned(),
            path: "/orders".to_owned(),
            authorized: true,
            scopes: vec!["orders".to_owned()],
        }],
        queues: Vec::new(),
        streams: Vec::new(),
        schedules: Vec::new(),
    }];
    let invoker = Invoker::new(reqwest::Client::new(), &format!("http://{address}"), &functions, 1);
    Gateway::start(&functions, invoker).await.unwrap()
}

async fn call(gateway: &Gateway, path: &str, scope: Option<&str>, body: &'static str) -> (u16, String) {
    let mut request = reqwest::Client::new().post(format!("{}{path}", gateway.url())).body(body);
    if let Some(scope) = scope {
        let claims = Claims { tenant: "acme".into(), sub: "ada".into(), scope: scope.into(), guest: false };
        request = request.header("authorization", format!("Bearer {}", sign(&claims).unwrap()));
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_request_reaches_its_function_and_the_answer_comes_back() {
    let gateway = gateway().await;
    let expected = json!({ "route": "POST /orders", "tenant": "acme" }).to_string();
    assert_eq!(call(&gateway, "/orders", Some("stock orders"), "{}").await, (201, expected));
}

#[tokio::test]
async fn what_the_gateway_answers_itself_is_worded_as_on_aws() {
    let gateway = gateway().await;
    let message = |text: &str| json!({ "message": text }).to_string();
    assert_eq!(call(&gateway, "/orders", None, "{}").await, (401, message("Unauthorized")));
    assert_eq!(call(&gateway, "/orders", Some("stock"), "{}").await, (403, message("Forbidden")));
    assert_eq!(call(&gateway, "/nothing", Some("orders"), "{}").await, (404, message("Not Found")));
    assert_eq!(call(&gateway, "/orders", Some("orders"), "fail").await, (500, message("Internal Server Error")));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let gateway = gateway().await;
    let body: &'static str = "x".repeat(BODY_BYTES_MAX + 1).leak();
    let (status, _) = call(&gateway, "/orders", Some("orders"), body).await;
    assert_eq!(status, 413);
}
