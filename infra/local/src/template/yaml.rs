//! YAML with CloudFormation's tags, as JSON with its long forms: `!Ref A` becomes `{"Ref": "A"}`.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use serde_norway::Value as Yaml;

/// `yaml` in long form.
///
/// # Errors
/// When a key is not a scalar or a number has no JSON form.
pub fn to_json(yaml: Yaml) -> anyhow::Result<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::String(value) => value.into(),
        Yaml::Number(value) => number(&value)?,
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect::<Result<_, _>>()?,
        Yaml::Mapping(entries) => entries
            .into_iter()
            .map(|(name, value)| Ok((key(name)?, to_json(value)?)))
            .collect::<anyhow::Result<Map<_, _>>>()?
            .into(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let value = to_json(tagged.value)?;
            let (name, value) = match (name, value) {
                ("Ref" | "Condition", value) => (name.to_owned(), value),
                ("GetAtt", Value::String(path)) => {
                    let (resource, attribute) =
                        path.split_once('.').context("!GetAtt needs a resource and an attribute")?;
                    ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
                }
                (name, value) => (format!("Fn::{name}"), value),
            };
            Value::Object(Map::from_iter([(name, value)]))
        }
    })
}

fn number(value: &serde_norway::Number) -> anyhow::Result<Value> {
    if let Some(value) = value.as_u64() {
        return Ok(value.into());
    }
    if let Some(value) = value.as_i64() {
        return Ok(value.into());
    }
    value
        .as_f64()
        .and_then(serde_json::Number::from_f64)
        .map(Value::Number)
        .with_context(|| format!("{value} is no number of JSON"))
}

fn key(name: Yaml) -> anyhow::Result<String> {
    Ok(match name {
        Yaml::String(name) => name,
        Yaml::Number(name) => name.to_string(),
        Yaml::Bool(name) => name.to_string(),
        other => bail!("{other:?} cannot be a key"),
    })
}
