//! The API's description is that of the code.

use std::collections::BTreeSet;

use holdfast_tests::requests::Request;
use holdfast_tests::shop::Shop;
use serde_json::Value;

#[test]
fn the_description_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/openapi.json");
    let written = std::fs::read_to_string(path).unwrap();
    let code = holdfast_local::openapi::document().unwrap();
    assert!(written == code, "infra/openapi.json is not what the code says: run `cargo dev openapi`");
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document: Value = serde_json::from_str(&holdfast_local::openapi::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routes = [
        orders::ROUTES,
        inventory::ROUTES,
        catalog::ROUTES,
        payment_webhooks::ROUTES,
        webhooks::ROUTES,
        exports::ROUTES,
        ops::ROUTES,
    ]
    .concat();
    let served: BTreeSet<_> = routes.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, served);
    assert_eq!(document["openapi"], "3.1.0");
    let operations = paths.values().flat_map(|methods| methods.as_object().unwrap().values());
    let names: BTreeSet<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), served.len(), "operation ids are not unique: {names:?}");
}

#[tokio::test]
async fn the_description_is_served_to_everybody() {
    let shop = Shop::open().await;
    let answer = Request::get("/openapi.json").send(&shop.catalog, None).await;
    assert_eq!((answer.status, &answer.body["info"]["title"]), (200, &Value::from("Holdfast")));
}
