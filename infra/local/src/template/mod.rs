//! Reads `template.yaml`, so that what runs locally is what is deployed.

mod intrinsics;
mod model;
mod reading;
mod schedule;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

#[cfg(test)]
pub use model::Filter;
pub use model::{
    Application, FilterCriteria, Function, Queue, QueueMapping, Route, ScheduleRule, StreamMapping, Table,
};

use crate::workspace;

/// What only a running stack can say: the values that AWS would put in at deployment.
#[derive(Clone, Debug, Default)]
pub struct LocalValues {
    /// Values of the template's parameters, in place of their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The endpoint that queue URLs begin with.
    pub sqs_url: String,
    /// What a generated secret is.
    pub generated_secret: String,
}

/// The template as it is written, with CloudFormation's short forms replaced by the long ones.
pub struct Template {
    document: Value,
}

impl Template {
    /// The template at `path`.
    ///
    /// # Errors
    /// When it cannot be read or is not YAML.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} is not readable", workspace::shown(path)))?;
        Self::parse(&text).with_context(|| format!("{} was not understood", workspace::shown(path)))
    }

    /// The template with this text.
    ///
    /// # Errors
    /// When it is not YAML.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(Self { document: yaml::to_json(serde_norway::from_str(text)?)? })
    }

    /// What the template describes once `values` are put in.
    ///
    /// # Errors
    /// When a part that this tool plays uses something it does not know.
    pub fn application(&self, values: &LocalValues) -> anyhow::Result<Application> {
        reading::application(&self.document, values)
    }
}

#[cfg(test)]
mod tests;
