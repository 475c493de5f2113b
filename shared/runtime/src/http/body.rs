//! JSON bodies, read strictly, so that a mistake is named and never ignored.

use super::Problem;
use axum::extract::{FromRequest, Request};
use holdfast_domain::invalid::Invalid;
use http::StatusCode;
use serde::de::DeserializeOwned;

/// The largest body read, in bytes: ample for the longest order.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// A JSON body of a known form. Problems name the field, as in `lines[2].quantity`.
pub struct Json<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|_| {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
                .detail(format!("At most {BODY_BYTES_MAX} bytes are read."))
        })?;
        // Serde would take an array of the fields' values for an object of them.
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first.is_some_and(|byte| *byte == b'[') {
            return Err(Problem::invalid(vec![Invalid::new("body", "must be a JSON object")]));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value =
            serde_path_to_error::deserialize(&mut json).map_err(|error| Problem::invalid(vec![named(&error)]))?;
        json.end().map_err(|error| Problem::invalid(vec![Invalid::new("body", error.to_string())]))?;
        Ok(Self(value))
    }
}

/// The field that an error is about: its path, and for a missing or unknown field its name as well.
fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> Invalid {
    let path = match error.path().to_string() {
        path if path == "." || path == "?" => String::new(),
        path => path.trim_end_matches(".?").to_owned(),
    };
    let message = error.inner().to_string();
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let problem = match message.split_once(" at line ") {
        Some((problem, _)) if error.inner().is_data() => problem.to_owned(),
        _ => message.clone(),
    };
    let (name, problem) = match () {
        () if message.starts_with("missing field `") => (quoted, "is required".to_owned()),
        () if message.starts_with("unknown field `") => (quoted, "is not a field of this request".to_owned()),
        () if message.starts_with("duplicate field `") => (quoted, "stands there twice".to_owned()),
        () => ("", problem),
    };
    let last = path.rsplit('.').next().unwrap_or_default();
    match (path.is_empty(), name) {
        (true, "") => Invalid::new("body", problem),
        (true, name) => Invalid::new(name, problem),
        // For an unknown field the path ends in its name already.
        (false, name) if name.is_empty() || name == last => Invalid::new(path, problem),
        (false, name) => Invalid::new(name, problem).within(&path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "lines")]
        _lines: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "quantity")]
        _quantity: i64,
    }

    fn field(body: &str) -> String {
        let mut json = serde_json::Deserializer::from_str(body);
        let error = serde_path_to_error::deserialize::<_, Outer>(&mut json).unwrap_err();
        named(&error).field
    }

    #[test]
    fn ord_3_problems_name_their_field() {
        assert_eq!(field("{}"), "lines");
        assert_eq!(field(r#"{"lines":[{}]}"#), "lines[0].quantity");
        assert_eq!(field(r#"{"lines":[{"quantity":1},{"quantity":null}]}"#), "lines[1].quantity");
        assert_eq!(field(r#"{"lines":[{"quantity":99999999999999999999}]}"#), "lines[0].quantity");
        assert_eq!(field(r#"{"lines":[{"quantity":1,"colour":2}]}"#), "lines[0].colour");
        assert_eq!(field(r#"{"lines":[{"quantity":1,"quantity":1}]}"#), "lines[0].quantity");
        assert_eq!(field(r#"{"lines":[],"x":1}"#), "x");
        assert_eq!(field("[]"), "body");
        assert_eq!(field("nonsense"), "body");
        assert_eq!(field(""), "body");
    }
}
