//! CloudFormation's intrinsic functions, worked out with local values.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use crate::engines::aws::{ACCOUNT, REGION};
use crate::template::LocalValues;

/// The name that stands for `AWS::StackName`.
const STACK: &str = "holdfast";

/// Works out the values of a template.
pub struct Resolver<'a> {
    document: &'a Value,
    values: &'a LocalValues,
}

impl<'a> Resolver<'a> {
    /// A resolver of `document`, which is in long form.
    pub fn new(document: &'a Value, values: &'a LocalValues) -> Self {
        Self { document, values }
    }

    /// `value` with every intrinsic function worked out.
    ///
    /// # Errors
    /// When a function, a name or a condition is unknown.
    pub fn resolve(&self, value: &Value) -> anyhow::Result<Value> {
        Ok(self.present(value)?.unwrap_or_default())
    }

    /// As [`Self::resolve`]; `None` stands for `AWS::NoValue`, which takes its property away.
    fn present(&self, value: &Value) -> anyhow::Result<Option<Value>> {
        Ok(Some(match value {
            Value::Object(entries) => match function(entries) {
                Some((name, argument)) => return self.call(name, argument),
                None => {
                    let mut resolved = Map::new();
                    for (name, value) in entries {
                        if let Some(value) = self.present(value)? {
                            resolved.insert(name.clone(), value);
                        }
                    }
                    resolved.into()
                }
            },
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    resolved.extend(self.present(item)?);
                }
                resolved.into()
            }
            scalar => scalar.clone(),
        }))
    }

    fn call(&self, name: &str, argument: &Value) -> anyhow::Result<Option<Value>> {
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Some(match (name, arguments) {
            ("Ref", _) => {
                let name = argument.as_str().context("Ref needs a name")?;
                if name == "AWS::NoValue" {
                    return Ok(None);
                }
                self.reference(name)?
            }
            ("Fn::GetAtt", [resource, attribute]) => {
                self.attribute(&self.text(resource)?, &self.text(attribute)?)?.into()
            }
            ("Fn::Sub", []) => self.substitute(argument.as_str().context("Fn::Sub needs text")?, &Map::new())?.into(),
            ("Fn::Sub", [text, Value::Object(names)]) => {
                self.substitute(text.as_str().context("Fn::Sub needs text")?, names)?.into()
            }
            ("Fn::Join", [separator, parts]) => {
                let parts = self.resolve(parts)?;
                let parts = parts.as_array().context("Fn::Join needs a list")?.iter().map(|part| self.text(part));
                parts.collect::<Result<Vec<_>, _>>()?.join(&self.text(separator)?).into()
            }
            ("Fn::If", [condition, then, otherwise]) => {
                let met = self.condition(condition.as_str().context("Fn::If needs a condition")?)?;
                return self.present(if met { then } else { otherwise });
            }
            ("Condition" | "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or", _) => self.test(name, argument)?.into(),
            _ => bail!("{name} is not known to cargo dev"),
        }))
    }

    /// What `Ref` gives for a parameter, a resource or a pseudo parameter.
    fn reference(&self, name: &str) -> anyhow::Result<Value> {
        let pseudo = match name {
            "AWS::Region" => REGION,
            "AWS::AccountId" => ACCOUNT,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            "AWS::StackName" => STACK,
            _ => "",
        };
        if !pseudo.is_empty() {
            return Ok(pseudo.into());
        }
        if let Some(value) = self.values.parameters.get(name) {
            return Ok(value.as_str().into());
        }
        if let Some(parameter) = self.document["Parameters"].get(name) {
            // A parameter without a default has a value that only a deployment gives.
            let value = parameter.get("Default").cloned();
            return Ok(value.unwrap_or_else(|| format!("local-{name}").into()));
        }
        Ok(match self.resource_type(name)? {
            "AWS::DynamoDB::Table" => self.physical_name(name, "TableName")?,
            "AWS::SQS::Queue" => {
                format!("{}/{ACCOUNT}/{}", self.values.sqs_url, self.physical_name(name, "QueueName")?)
            }
            "AWS::S3::Bucket" => self.bucket_name(name)?,
            _ => name.to_owned(),
        }
        .into())
    }

    /// The name of a bucket: in lower case, as S3 insists.
    pub fn bucket_name(&self, logical_id: &str) -> anyhow::Result<String> {
        Ok(self.physical_name(logical_id, "BucketName")?.to_lowercase())
    }

    fn attribute(&self, resource: &str, attribute: &str) -> anyhow::Result<String> {
        Ok(match (self.resource_type(resource)?, attribute) {
            ("AWS::SQS::Queue", "Arn") => {
                format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", self.physical_name(resource, "QueueName")?)
            }
            ("AWS::SQS::Queue", "QueueName") => self.physical_name(resource, "QueueName")?,
            ("AWS::S3::Bucket", "Arn") => format!("arn:aws:s3:::{}", self.bucket_name(resource)?),
            ("AWS::DynamoDB::Table", attribute) => {
                let table = self.physical_name(resource, "TableName")?;
                let suffix = if attribute == "StreamArn" { "/stream/local" } else { "" };
                format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}{suffix}")
            }
            (_, attribute) => format!("arn:aws:local:{REGION}:{ACCOUNT}:{resource}/{attribute}"),
        })
    }

    /// The name a resource has outside the template: its own where it says one, as CloudFormation makes one otherwise.
    pub fn physical_name(&self, logical_id: &str, property: &str) -> anyhow::Result<String> {
        match self.document["Resources"][logical_id]["Properties"].get(property) {
            Some(name) => self.text(name),
            None => Ok(format!("{STACK}-{logical_id}")),
        }
    }

    fn resource_type(&self, logical_id: &str) -> anyhow::Result<&'a str> {
        self.document["Resources"][logical_id]["Type"]
            .as_str()
            .with_context(|| format!("{logical_id} is neither a parameter nor a resource"))
    }

    /// `text` with each `${…}` replaced; `${!…}` stands for `${…}` itself.
    fn substitute(&self, text: &str, names: &Map<String, Value>) -> anyhow::Result<String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').context("${ has no }")?;
            result.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = names.get(name) {
                result.push_str(&self.text(value)?);
            } else if let Some((resource, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(resource, attribute)?);
            } else {
                result.push_str(&as_text(&self.reference(name)?)?);
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    fn condition(&self, name: &str) -> anyhow::Result<bool> {
        let condition = self.document["Conditions"].get(name).with_context(|| format!("{name} is not a condition"))?;
        self.truth(condition)
    }

    fn truth(&self, value: &Value) -> anyhow::Result<bool> {
        match value.as_object().and_then(function) {
            Some((name, argument)) => self.test(name, argument),
            None => as_text(value)?.parse().context("a condition is neither true nor false"),
        }
    }

    fn test(&self, name: &str, argument: &Value) -> anyhow::Result<bool> {
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut truths = arguments.iter().map(|argument| self.truth(argument));
        match (name, arguments) {
            ("Condition", _) => self.condition(argument.as_str().context("Condition needs a name")?),
            ("Fn::Equals", [one, other]) => Ok(self.text(one)? == self.text(other)?),
            ("Fn::Not", [negated]) => Ok(!self.truth(negated)?),
            ("Fn::And", _) => truths.try_fold(true, |all, truth| Ok(truth? && all)),
            ("Fn::Or", _) => truths.try_fold(false, |any, truth| Ok(truth? || any)),
            _ => bail!("{name} is not known to cargo dev"),
        }
    }

    fn text(&self, value: &Value) -> anyhow::Result<String> {
        as_text(&self.resolve(value)?)
    }
}

/// A scalar as CloudFormation passes it on: all of them are text.
pub fn as_text(value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => bail!("{other} is not a scalar"),
    })
}

/// The intrinsic function that `entries` stand for, with its argument.
fn function(entries: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = entries.iter().next().filter(|_| entries.len() == 1)?;
    let known = name == "Ref" || name == "Condition" && argument.is_string() || name.starts_with("Fn::");
    known.then_some((name, argument))
}
