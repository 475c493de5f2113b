//! Finds the route of a request, by API Gateway's order: the most specific path first, its own method before `ANY`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::template::{Function, Route};

/// All routes of an API.
pub struct RouteTable {
    entries: Vec<Entry>,
}

struct Entry {
    route: Route,
    function: String,
}

/// The route of a request.
#[derive(Debug)]
pub struct Matched<'a> {
    /// The route.
    pub route: &'a Route,
    /// The function behind it.
    pub function: &'a str,
    /// What the variables of its path stand for, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl RouteTable {
    /// The routes of `functions`.
    pub fn new(functions: &[Function]) -> Self {
        let routes = functions.iter().flat_map(|function| function.routes.iter().map(move |route| (function, route)));
        let mut entries: Vec<Entry> =
            routes.map(|(function, route)| Entry { route: route.clone(), function: function.name.clone() }).collect();
        entries.sort_by_key(|entry| Reverse(rank(&entry.route)));
        Self { entries }
    }

    /// The route for `method` and `path`, which is as it came over the wire.
    pub fn find(&self, method: &str, path: &str) -> Option<Matched<'_>> {
        self.entries.iter().find_map(|entry| {
            let route = &entry.route;
            let parameters =
                parameters(&route.path, path).filter(|_| route.method == "ANY" || route.method == method)?;
            Some(Matched { route, function: &entry.function, parameters })
        })
    }
}

/// Ranks the segments of a path from the left, a fixed one before a variable before a greedy one, then the method.
fn rank(route: &Route) -> (Vec<u8>, bool) {
    let segments = route.path.split('/').map(|segment| match variable(segment) {
        None => 2,
        Some(name) => u8::from(!name.ends_with('+')),
    });
    (segments.collect(), route.method != "ANY")
}

fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// What the variables of `pattern` stand for in `path`, or `None` when it is not of that form.
fn parameters(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let mut rest = Some(path);
    for wanted in pattern.split('/') {
        let text = rest?;
        if let Some(name) = variable(wanted).and_then(|name| name.strip_suffix('+')) {
            parameters.insert(name.to_owned(), decoded(text));
            return (!text.is_empty()).then_some(parameters);
        }
        let (segment, after) = text.split_once('/').map_or((text, None), |(segment, after)| (segment, Some(after)));
        match variable(wanted) {
            Some(name) if !segment.is_empty() => {
                parameters.insert(name.to_owned(), decoded(segment));
            }
            None if segment == wanted => {}
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(parameters)
}

/// `text` without percent encoding; what is not UTF-8 is replaced.
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn table(routes: &[(&str, &str)]) -> RouteTable {
        let function = |(method, path): &(&str, &str)| Function {
            logical_id: String::new(),
            name: format!("{method} {path}"),
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(1),
            memory: 128,
            routes: vec![Route {
                method: (*method).to_owned(),
                path: (*path).to_owned(),
                authorized: true,
                scopes: Vec::new(),
            }],
            queues: Vec::new(),
            streams: Vec::new(),
            schedules: Vec::new(),
        };
        RouteTable::new(&routes.iter().map(function).collect::<Vec<_>>())
    }

    #[test]
    fn the_most_specific_route_serves() {
        let table = table(&[
            ("ANY", "/{rest+}"),
            ("ANY", "/orders/{id}"),
            ("GET", "/orders/{id}"),
            ("GET", "/orders/latest"),
            ("POST", "/orders/{id}/cancel"),
        ]);
        let serves = |method, path| table.find(method, path).map(|matched| matched.function.to_owned());
        assert_eq!(serves("GET", "/orders/7").as_deref(), Some("GET /orders/{id}"));
        assert_eq!(serves("PUT", "/orders/7").as_deref(), Some("ANY /orders/{id}"));
        assert_eq!(serves("GET", "/orders/latest").as_deref(), Some("GET /orders/latest"));
        assert_eq!(serves("POST", "/orders/7/cancel").as_deref(), Some("POST /orders/{id}/cancel"));
        assert_eq!(serves("GET", "/orders/7/").as_deref(), Some("ANY /{rest+}"));
        assert_eq!(serves("GET", "/"), None);
    }

    #[test]
    fn variables_are_decoded_after_the_path_is_split() {
        let table = table(&[("GET", "/stock/{product}"), ("GET", "/files/{path+}")]);
        assert_eq!(table.find("GET", "/stock/a%2Fb%20c").unwrap().parameters["product"], "a/b c");
        assert_eq!(table.find("GET", "/files/a/b").unwrap().parameters["path"], "a/b");
        assert!(table.find("GET", "/stock/").is_none());
        assert!(table.find("POST", "/stock/a").is_none());
    }
}
