//! Filter patterns of event-source mappings: the parts of EventBridge's language that say which values pass.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use crate::template::FilterCriteria;

/// The filters of a mapping. An event passes if it passes any, or if there are none.
#[derive(Clone, Debug)]
pub struct Filters {
    patterns: Vec<Pattern>,
}

/// What an event must have.
#[derive(Clone, Debug)]
enum Pattern {
    /// Every one of these fields passes.
    Fields(Vec<(String, Pattern)>),
    /// The value passes one of these.
    Any(Vec<Matcher>),
}

#[derive(Clone, Debug)]
enum Matcher {
    Equals(Value),
    Prefix(String),
    Suffix(String),
    AnythingBut(Vec<Value>),
    Exists(bool),
}

impl Filters {
    /// The filters of `criteria`.
    ///
    /// # Errors
    /// When a pattern is not JSON, or uses something that this tool does not play.
    pub fn parse(criteria: &FilterCriteria) -> anyhow::Result<Self> {
        let patterns = criteria.filters.iter().map(|filter| {
            let pattern: Value = serde_json::from_str(&filter.pattern).context("a filter pattern is not JSON")?;
            Pattern::fields(pattern.as_object().context("a filter pattern is not an object")?)
        });
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether `event` passes.
    pub fn pass(&self, event: &Value) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.passes(Some(event)))
    }
}

impl Pattern {
    fn fields(fields: &Map<String, Value>) -> anyhow::Result<Self> {
        let fields = fields.iter().map(|(name, pattern)| {
            let pattern = match pattern {
                Value::Object(fields) => Self::fields(fields)?,
                Value::Array(matchers) => Self::Any(matchers.iter().map(Matcher::parse).collect::<Result<_, _>>()?),
                other => bail!("{other} in a filter pattern must be in a list"),
            };
            Ok((name.clone(), pattern))
        });
        Ok(Self::Fields(fields.collect::<Result<_, _>>()?))
    }

    fn passes(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Fields(fields) => {
                fields.iter().all(|(name, pattern)| pattern.passes(value.and_then(|value| value.get(name))))
            }
            Self::Any(matchers) => matchers.iter().any(|matcher| matcher.passes(value)),
        }
    }
}

impl Matcher {
    fn parse(matcher: &Value) -> anyhow::Result<Self> {
        let Some(operator) = matcher.as_object() else {
            return Ok(Self::Equals(matcher.clone()));
        };
        Ok(match operator.iter().next() {
            Some((name, Value::String(text))) if name == "prefix" => Self::Prefix(text.clone()),
            Some((name, Value::String(text))) if name == "suffix" => Self::Suffix(text.clone()),
            Some((name, Value::Bool(exists))) if name == "exists" => Self::Exists(*exists),
            Some((name, Value::Array(values))) if name == "anything-but" => Self::AnythingBut(values.clone()),
            Some((name, value)) if name == "anything-but" && !value.is_object() => {
                Self::AnythingBut(vec![value.clone()])
            }
            _ => bail!("{matcher} in a filter pattern is not known to cargo dev"),
        })
    }

    fn passes(&self, value: Option<&Value>) -> bool {
        let text = value.and_then(Value::as_str);
        match self {
            Self::Equals(wanted) => value == Some(wanted),
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::AnythingBut(unwanted) => value.is_some_and(|value| !unwanted.contains(value)),
            Self::Exists(wanted) => value.is_some() == *wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::Filter;

    fn filters(patterns: &[Value]) -> anyhow::Result<Filters> {
        let filters = patterns.iter().map(|pattern| Filter { pattern: pattern.to_string() });
        Filters::parse(&FilterCriteria { filters: filters.collect() })
    }

    #[test]
    fn all_fields_and_any_value_must_pass() {
        let filters = filters(&[json!({
            "eventName": ["INSERT", "MODIFY"],
            "dynamodb": { "Keys": { "sk": { "S": ["order"] } } },
        })])
        .unwrap();
        let event = |name: &str, sk: &str| json!({ "eventName": name, "dynamodb": { "Keys": { "sk": { "S": sk } } } });
        assert!(filters.pass(&event("INSERT", "order")));
        assert!(!filters.pass(&event("REMOVE", "order")));
        assert!(!filters.pass(&event("MODIFY", "stripe")));
        assert!(!filters.pass(&json!({ "eventName": "INSERT" })));
    }

    #[test]
    fn operators_work_on_present_values() {
        let passes = |pattern: Value, event: Value| filters(&[pattern]).unwrap().pass(&event);
        assert!(passes(json!({ "a": [{ "prefix": "x" }] }), json!({ "a": "xy" })));
        assert!(passes(json!({ "a": [{ "suffix": "y" }] }), json!({ "a": "xy" })));
        assert!(passes(json!({ "a": [{ "exists": false }] }), json!({})));
        assert!(!passes(json!({ "a": [{ "exists": true }] }), json!({})));
        assert!(passes(json!({ "a": [{ "anything-but": ["x", "y"] }] }), json!({ "a": "z" })));
        assert!(!passes(json!({ "a": [{ "anything-but": "x" }] }), json!({})));
        assert!(filters(&[]).unwrap().pass(&json!({})));
    }

    #[test]
    fn what_is_not_played_is_named() {
        let error = filters(&[json!({ "a": [{ "numeric": [">", 1] }] })]).unwrap_err();
        assert!(error.to_string().contains("numeric"), "{error}");
        assert!(filters(&[json!({ "a": "x" })]).is_err());
    }
}
