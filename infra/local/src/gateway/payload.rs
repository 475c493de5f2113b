//! Payload format 2.0 of HTTP APIs.
//!
//! See <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.

use std::collections::BTreeMap;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::routes::{Matched, decoded};
use crate::engines::aws::ACCOUNT;

/// Where every request comes from.
const SOURCE: &str = "127.0.0.1";

/// Who sent a request, as the authorizer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The claims of the token, all as text.
    pub claims: Vec<(String, String)>,
    /// The scopes of the token.
    pub scopes: Vec<String>,
}

/// The event for the function that serves a request, as JSON.
pub fn event(head: &Parts, body: &Bytes, matched: &Matched<'_>, caller: Option<&Caller>, port: u16) -> Vec<u8> {
    let now = Timestamp::now();
    let request_id = Uuid::from_u128(rand::random()).simple().to_string();
    let path = decoded(head.uri.path());
    let route_key = format!("{} {}", matched.route.method, matched.route.path);
    let mut headers = joined_headers(head);
    headers.extend([
        ("x-amzn-trace-id".to_owned(), format!("Root=1-{:08x}-{}", now.as_second(), &request_id[..24])),
        ("x-forwarded-for".to_owned(), SOURCE.to_owned()),
        ("x-forwarded-port".to_owned(), port.to_string()),
        ("x-forwarded-proto".to_owned(), "http".to_owned()),
    ]);
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": SOURCE,
            "domainPrefix": "127",
            "http": {
                "method": head.method.as_str(),
                "path": path,
                "protocol": protocol(head.version),
                "sourceIp": SOURCE,
                "userAgent": headers.get("user-agent").map_or("", String::as_str),
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    if let Some(caller) = caller {
        let claims: Map<String, Value> =
            caller.claims.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        event["requestContext"]["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": caller.scopes } });
    }
    let cookies = cookies(head);
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    let query = query(head);
    if !query.is_empty() {
        event["queryStringParameters"] = json!(query);
    }
    if !matched.parameters.is_empty() {
        event["pathParameters"] = json!(matched.parameters);
    }
    if !body.is_empty() {
        match std::str::from_utf8(body).ok().filter(|_| is_text(head)) {
            Some(text) => event["body"] = text.into(),
            None => {
                event["body"] = BASE64.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
    }
    event.to_string().into_bytes()
}

/// The headers with lower-case names; values of one name are joined by commas. Cookies have a field of their own.
fn joined_headers(head: &Parts) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != header::COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|joined| *joined = format!("{joined},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    joined
}

fn cookies(head: &Parts) -> Vec<String> {
    let lines = head.headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';').map(|cookie| cookie.trim().to_owned())).collect()
}

/// The query, decoded; values of one name are joined by commas.
fn query(head: &Parts) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for pair in head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(&value.replace('+', " "));
        joined
            .entry(decoded(&name.replace('+', " ")))
            .and_modify(|joined| *joined = format!("{joined},{value}"))
            .or_insert(value);
    }
    joined
}

/// Whether API Gateway passes a body of this kind on as text.
fn is_text(head: &Parts) -> bool {
    if head.headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let Some(kind) = head.headers.get(header::CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || ["application/json", "application/xml", "application/javascript"].contains(&kind)
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// The response that a function's `answer` stands for.
///
/// # Errors
/// When it is none of the forms that API Gateway knows.
pub fn response(answer: &[u8]) -> anyhow::Result<Response> {
    let answer: Value = serde_json::from_slice(answer).context("it is not JSON")?;
    let Some(status) = answer.get("statusCode") else {
        // Without a status, the answer itself is the body.
        let body = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
        return Ok(Response::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(body))?);
    };
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok()).context("the status is not a number")?;
    let mut response = Response::new(body(&answer)?);
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status)?)?;
    let headers = response.headers_mut();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, header_value(value)?);
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.append(header::SET_COOKIE, header_value(cookie)?);
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    Ok(response)
}

fn body(answer: &Value) -> anyhow::Result<Body> {
    let body = match &answer["body"] {
        Value::Null => String::new(),
        Value::String(body) => body.clone(),
        other => other.to_string(),
    };
    if answer["isBase64Encoded"] == true {
        return Ok(Body::from(BASE64.decode(body).context("the body is not base64")?));
    }
    Ok(Body::from(body))
}

fn header_value(value: &Value) -> anyhow::Result<HeaderValue> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(HeaderValue::from_str(&text)?)
}

#[cfg(test)]
mod tests;
