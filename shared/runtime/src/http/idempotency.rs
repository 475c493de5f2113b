//! The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header).

use super::Problem;
use holdfast_domain::ids::IdempotencyKey;
use holdfast_domain::invalid::Invalid;
use http::{HeaderMap, StatusCode};

const NAME: &str = "Idempotency-Key";

/// Reads the key. The draft's form is a quoted string; the bare form that most clients send is taken too.
///
/// # Errors
/// 400 `idempotency-key-missing` without the header, and `invalid-request` when it does not read as a key.
pub fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-missing", "An Idempotency-Key is needed");
        return Err(problem
            .detail("Send a header Idempotency-Key with a value of your own, the same on every retry.")
            .error(Invalid::new(NAME, "is required")));
    };
    if values.next().is_some() {
        return Err(Problem::invalid(vec![Invalid::new(NAME, "is given twice")]));
    }
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    IdempotencyKey::parse(bare).map_err(|invalid| Problem::invalid(vec![invalid]))
}
