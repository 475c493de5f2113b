//! Where the parts of a stack are: `stack.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::workspace;

/// Where everything is; the content of `stack.json`. Parts that do not run have an empty URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The HTTP API, as behind API Gateway.
    pub api_url: String,
    /// DynamoDB and DynamoDB Streams.
    pub dynamodb_url: String,
    /// The name of the table.
    pub table: String,
    /// SQS and the other services of ministack.
    pub sqs_url: String,
    /// Valkey.
    pub redis_url: String,
    /// Lambda's API, for `cargo lambda invoke` and for tests.
    pub functions_url: String,
    /// The Stripe API, with `/_faults` to order faults.
    pub payment_url: String,
    /// The carrier's API, with `/_faults`, `/_limits` and `/_shipments` for tests.
    #[serde(default)]
    pub carrier_url: String,
    /// What only the stack knows, for tests in other processes: `GET /idle`, `/queues` and `/deliveries`.
    #[serde(default)]
    pub control_url: String,
    /// URLs of the queues by their names in the template.
    pub queues: BTreeMap<String, String>,
    /// The folder of the logs.
    pub logs: String,
}

impl Endpoints {
    /// Reads the `stack.json` of a running stack.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{} is not readable", workspace::shown(path)))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        // Readers find the old file or the new one, never half of one.
        let draft = path.with_extension("draft");
        fs::write(&draft, text + "\n")?;
        fs::rename(&draft, path).with_context(|| format!("{} was not written", workspace::shown(path)))
    }
}

/// A `stack.json` that is there while the stack is.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
}

impl Published {
    /// Writes `endpoints` to `path`. The file goes when this is dropped.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(endpoints: &Endpoints, path: &Path) -> anyhow::Result<Self> {
        endpoints.write(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what a stack left at `path` that was killed.
    pub fn withdraw(path: &Path) {
        // Mostly there is none.
        let _ = fs::remove_file(path);
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        Self::withdraw(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_goes_with_its_stack() {
        let path = std::env::temp_dir().join(format!("holdfast-stack-{}.json", std::process::id()));
        let endpoints = Endpoints { table: "t".to_owned(), ..Endpoints::default() };
        let published = Published::new(&endpoints, &path).unwrap();
        assert_eq!(Endpoints::read(&path).unwrap(), endpoints);
        drop(published);
        assert!(Endpoints::read(&path).is_err());
    }
}
