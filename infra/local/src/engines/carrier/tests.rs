use super::*;

fn booking(country: &str, units: u32) -> Value {
    json!({
        "account": "acme",
        "order": "o-1",
        "shipment": 1,
        "warehouse": "berlin",
        "address": { "name": "Ada", "line1": "1 Street", "city": "Town", "country": country },
        "lines": [{ "product": "mug", "units": units }],
    })
}

async fn call(sandbox: &CarrierSandbox, path: &str, key: &str, body: &Value) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{}{path}", sandbox.url())).bearer_auth(API_KEY);
    request.header("idempotency-key", key).json(body).send().await.unwrap()
}

/// The status and the code of an answer.
async fn told(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

async fn listed(sandbox: &CarrierSandbox) -> Value {
    reqwest::get(format!("{}/_shipments", sandbox.url())).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_key_books_once() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let first = call(&sandbox, "/v1/shipments", "k", &booking("DE", 1)).await;
    assert_eq!(first.status(), 201);
    let first: Value = first.json().await.unwrap();
    assert_eq!(first, json!({ "id": "shp_1", "tracking": "HF0000000001", "status": "booked" }));
    let again = call(&sandbox, "/v1/shipments", "k", &booking("DE", 1)).await;
    assert_eq!(
        (again.status().as_u16(), &again.headers()["idempotent-replayed"]),
        (201, &HeaderValue::from_static("true"))
    );
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let other = call(&sandbox, "/v1/shipments", "k", &booking("DE", 2)).await;
    assert_eq!(told(other).await, (422, "key-reused".to_owned()));
    let listed = listed(&sandbox).await;
    assert_eq!((listed["shipments"].as_array().unwrap().len(), listed["requests"].as_u64()), (1, Some(3)));
}

#[tokio::test]
async fn what_cannot_be_booked_is_refused() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    for _ in 0..2 {
        let refused = call(&sandbox, "/v1/shipments", "k-1", &booking("AQ", 1)).await;
        assert_eq!(told(refused).await, (422, "address-not-served".to_owned()));
    }
    for (key, body) in [("", booking("DE", 1)), ("k-2", booking("DE", 0)), ("k-2", json!({ "order": "o-1" }))] {
        let invalid = call(&sandbox, "/v1/shipments", key, &body).await;
        assert_eq!(told(invalid).await, (400, "invalid-request".to_owned()), "{key} {body}");
    }
    let stranger = reqwest::Client::new().post(format!("{}/v1/shipments", sandbox.url())).json(&booking("DE", 1));
    assert_eq!(told(stranger.send().await.unwrap()).await, (401, "unauthorized".to_owned()));
    assert_eq!(listed(&sandbox).await["shipments"], json!([]));
}

#[tokio::test]
async fn a_shipment_is_called_off_until_it_is_collected() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    for key in ["k-1", "k-2"] {
        call(&sandbox, "/v1/shipments", key, &booking("DE", 1)).await;
    }
    let none = json!(null);
    for path in ["/v1/shipments/shp_1/cancel", "/v1/shipments/shp_1/cancel", "/_shipments/shp_2/collect"] {
        assert_eq!(call(&sandbox, path, "", &none).await.status(), 200);
    }
    for (path, expected) in [
        ("/v1/shipments/shp_2/cancel", (409, "already-collected")),
        ("/_shipments/shp_1/collect", (409, "cancelled")),
        ("/v1/shipments/shp_3/cancel", (404, "not-found")),
    ] {
        let (status, code) = told(call(&sandbox, path, "", &none).await).await;
        assert_eq!((status, code.as_str()), expected);
    }
    let read = reqwest::Client::new().get(format!("{}/v1/shipments/shp_1", sandbox.url())).bearer_auth(API_KEY);
    assert_eq!(read.send().await.unwrap().json::<Value>().await.unwrap()["status"], "cancelled");
}

#[tokio::test]
async fn a_request_beyond_the_limit_uses_no_key_up() {
    let sandbox = CarrierSandbox::start().await.unwrap();
    let limits = format!("{}/_limits", sandbox.url());
    let shut = reqwest::Client::new().post(&limits).json(&json!({ "burst": 0, "per_second": 0.25 }));
    assert_eq!(shut.send().await.unwrap().status(), 204);
    let limited = call(&sandbox, "/v1/shipments", "k", &booking("DE", 1)).await;
    assert_eq!(limited.headers()["retry-after"], "4");
    assert_eq!(told(limited).await, (429, "rate-limited".to_owned()));
    assert_eq!(reqwest::Client::new().delete(&limits).send().await.unwrap().status(), 204);
    assert_eq!(call(&sandbox, "/v1/shipments", "k", &booking("DE", 2)).await.status(), 201);
}
