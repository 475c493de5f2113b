//! The `If-Match` and `If-None-Match` headers (RFC 9110 §13.1): what the caller takes to be current, or has.

use super::Problem;
use holdfast_domain::invalid::Invalid;
use http::{HeaderMap, HeaderValue, StatusCode, header};

const NAME: &str = "If-Match";

/// Whether the caller has this version: `If-None-Match` names it, or any. The comparison is weak (RFC 9110 §13.1.2): caches
/// on the way may have weakened the tag.
pub fn has_version(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    let etag = etag.to_str().unwrap_or_default();
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// The versions that a caller would have changed.
#[derive(Debug)]
pub struct IfMatch(Vec<String>);

impl IfMatch {
    /// Reads the header. It must name versions: `*` would have anybody's change overwritten, and a weak tag never matches.
    ///
    /// # Errors
    /// 428 `precondition-required` without the header, and 400 when it does not name versions.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let values: Vec<_> = headers.get_all(header::IF_MATCH).iter().collect();
        if values.is_empty() {
            let problem =
                Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition-required", "An If-Match is needed");
            return Err(problem
                .detail("Send a header If-Match with the ETag of the version that you would change.")
                .error(Invalid::new(NAME, "is required")));
        }
        let tags = values.iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let tags: Vec<_> = tags.map(|tag| tag.trim().to_owned()).collect();
        match tags.iter().all(|tag| is_strong(tag)) {
            true => Ok(Self(tags)),
            false => Err(Problem::invalid(vec![Invalid::new(NAME, "must be an ETag in quotes, neither * nor weak")])),
        }
    }

    /// Insists that one of the versions is the current one.
    ///
    /// # Errors
    /// 412 `precondition-failed` with the current ETag.
    pub fn insist(&self, current: &HeaderValue) -> Result<(), Problem> {
        if self.0.iter().any(|tag| tag.as_bytes() == current.as_bytes()) {
            return Ok(());
        }
        let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "It was changed meanwhile");
        let problem = problem.detail("Read it again, and send the ETag of the version that you would change.");
        Err(problem.header(header::ETAG, current.clone()))
    }
}

/// Whether this is an opaque tag in quotes.
fn is_strong(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<IfMatch, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        IfMatch::of(&headers)
    }

    #[test]
    fn ord_9_a_precondition_names_versions() {
        assert_eq!(read(&[]).unwrap_err().slug(), "precondition-required");
        for bad in ["*", "", "1", "\"\"", "W/\"1\"", "\"1\", *", "\"1", "\"1\", W/\"2\"", "\"a b\""] {
            assert_eq!(read(&[bad]).unwrap_err().slug(), "invalid-request", "{bad}");
        }
        let current = HeaderValue::from_static("\"2\"");
        assert!(read(&["\"2\""]).unwrap().insist(&current).is_ok());
        assert!(read(&["\"1\", \"2\""]).unwrap().insist(&current).is_ok());
        assert_eq!(read(&["\"1\"", "\"3\""]).unwrap().insist(&current).unwrap_err().slug(), "precondition-failed");
    }
}
