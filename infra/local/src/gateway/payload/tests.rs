use axum::http::Request;

use super::*;
use crate::template::Route;

fn route() -> Route {
    Route { method: "POST".to_owned(), path: "/stock/{product}".to_owned(), authorized: true, scopes: Vec::new() }
}

fn build(request: Request<&'static [u8]>, caller: Option<&Caller>) -> Value {
    let route = route();
    let matched = Matched {
        route: &route,
        function: "inventory",
        parameters: BTreeMap::from([("product".to_owned(), "a b".to_owned())]),
    };
    let (head, body) = request.into_parts();
    serde_json::from_slice(&event(&head, &Bytes::from_static(body), &matched, caller, 8080)).unwrap()
}

#[test]
fn a_request_becomes_the_documented_event() {
    let request = Request::post("/stock/a%20b?n=1&n=2&q=x%20y+z&empty")
        .header("X-Many", "1")
        .header("X-Many", "2")
        .header("Cookie", "a=1; b=2")
        .header("User-Agent", "test")
        .header("Content-Type", "application/json; charset=utf-8")
        .body(br#"{"quantity":1}"#.as_slice())
        .unwrap();
    let caller = Caller {
        claims: vec![("tenant".to_owned(), "acme".to_owned()), ("exp".to_owned(), "1".to_owned())],
        scopes: vec!["stock".to_owned()],
    };
    let event = build(request, Some(&caller));
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "POST /stock/{product}");
    assert_eq!(event["rawPath"], "/stock/a b");
    assert_eq!(event["rawQueryString"], "n=1&n=2&q=x%20y+z&empty");
    assert_eq!(event["queryStringParameters"], json!({ "n": "1,2", "q": "x y z", "empty": "" }));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"]["x-many"], "1,2");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!(event["pathParameters"], json!({ "product": "a b" }));
    assert_eq!(event["body"], r#"{"quantity":1}"#);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(
        context["authorizer"]["jwt"],
        json!({ "claims": { "tenant": "acme", "exp": "1" }, "scopes": ["stock"] })
    );
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["userAgent"], "test");
    assert_eq!(context["stage"], "$default");
    assert!(context["time"].as_str().is_some_and(|time| time.ends_with(" +0000")));
}

#[test]
fn a_body_that_is_no_text_is_base64() {
    let binary = Request::post("/").header("content-type", "application/octet-stream");
    let event = build(binary.body([0xff, 0x00].as_slice()).unwrap(), None);
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(build(form.body(b"a=1".as_slice()).unwrap(), None)["isBase64Encoded"], true);
    let packed = Request::post("/").header("content-type", "application/json").header("content-encoding", "gzip");
    assert_eq!(build(packed.body(b"{}".as_slice()).unwrap(), None)["isBase64Encoded"], true);
    let none = build(Request::post("/").body(b"".as_slice()).unwrap(), None);
    assert_eq!((none.get("body"), none.get("cookies")), (None, None));
}

#[tokio::test]
async fn an_answer_becomes_a_response() {
    let answer = json!({
        "statusCode": 201,
        "headers": { "location": "/orders/1", "x-number": 7 },
        "cookies": ["a=1", "b=2"],
        "body": "eyJ9",
        "isBase64Encoded": true,
    });
    let response = response(answer.to_string().as_bytes()).unwrap();
    assert_eq!(response.status(), 201);
    let all = |name: &str| {
        response.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(all("location"), ["/orders/1"]);
    assert_eq!(all("x-number"), ["7"]);
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body.as_ref(), b"{\"}");
}

#[test]
fn an_answer_without_a_status_is_the_body() {
    let response = response(br#"{"ok":true}"#).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[test]
fn an_answer_of_no_known_form_is_an_error() {
    for answer in
        [r#"{"statusCode":"x"}"#, r#"{"statusCode":99}"#, "no json", r#"{"statusCode":200,"headers":{"a b":"c"}}"#]
    {
        assert!(response(answer.as_bytes()).is_err(), "{answer}");
    }
}
