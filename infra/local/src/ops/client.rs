//! The API for operators, as the commands use it.

use crate::stack::Endpoints;
use crate::token::{self, Claims};
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a job may take: longer than its function's time.
const JOB_PATIENCE: Duration = Duration::from_secs(60);

/// Calls the API of a stack as an operator.
pub struct Operator {
    client: reqwest::Client,
    endpoints: Endpoints,
    token: String,
}

/// A cause of dead letters.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    /// Whose; none for those that do not say.
    pub tenant: Option<String>,
    /// Who failed, how, and at what.
    pub fingerprint: String,
    /// Where they came from; none for the table's stream.
    pub queue: Option<String>,
    /// How many.
    pub letters: u64,
    /// How many of them were replayed before.
    pub replayed_before: u64,
    /// When the first of them died.
    pub first_seen: String,
    /// When the last of them died.
    pub last_seen: String,
    /// The last of them.
    pub sample: Sample,
}

/// One of a cause.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// Its event.
    pub event_id: String,
    /// The last error.
    pub error: String,
    /// Whether it can be replayed.
    pub replayable: bool,
}

impl Operator {
    /// An operator of a stack.
    ///
    /// # Errors
    /// When no token can be made.
    pub fn of(endpoints: &Endpoints) -> anyhow::Result<Self> {
        let (tenant, sub, scope) = ("operations".to_owned(), "operator".to_owned(), "operator".to_owned());
        let token = token::sign(&Claims { tenant, sub, scope, guest: false })?;
        Ok(Self { client: reqwest::Client::new(), endpoints: endpoints.clone(), token })
    }

    /// Runs a job of maintenance, and gives its report.
    ///
    /// # Errors
    /// When the job refuses its task, or fails.
    pub async fn job(&self, task: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/2015-03-31/functions/maintenance/invocations", self.endpoints.functions_url);
        let answer = self.client.post(url).json(task).timeout(JOB_PATIENCE).send().await;
        let answer = answer.context("the function maintenance was not reached")?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let problem = body["errorMessage"].as_str().map(str::to_owned);
        anyhow::ensure!(status.is_success() && problem.is_none(), "{}", problem.unwrap_or(format!("{status}: {body}")));
        Ok(body)
    }

    /// The causes of dead letters.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn groups(&self, queue: Option<&str>, tenant: Option<&str>) -> anyhow::Result<(Vec<Group>, Value)> {
        let given = [("queue", queue), ("tenant", tenant)];
        let given: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let url = reqwest::Url::parse_with_params(&format!("{}/ops/dead-letters", self.endpoints.api_url), given)?;
        let body = self.answer(self.client.get(url)).await?;
        Ok((serde_json::from_value(body["groups"].clone())?, body))
    }

    /// Replays or discards, and gives what was done.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn act(&self, action: &str, choice: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/ops/dead-letters/{action}", self.endpoints.api_url);
        self.answer(self.client.post(url).json(choice)).await
    }

    /// Does something to every letter of a cause; how many.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn act_on(&self, action: &str, group: &Group) -> anyhow::Result<u64> {
        let mut done = 0;
        let tenant = group.tenant.clone().unwrap_or_else(|| "-".to_owned());
        let mut choice = json!({"fingerprint": group.fingerprint, "tenant": tenant, "limit": 200});
        loop {
            let mut answer = self.act(action, &choice).await?;
            done += answer["done"].as_u64().unwrap_or_default();
            if answer["more"] != true {
                return Ok(done);
            }
            choice["cursor"] = answer["cursor"].take();
        }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(&self.token).send().await.context("the API was not reached")?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let detail = body["detail"].as_str().or(body["title"].as_str()).unwrap_or_default();
        anyhow::ensure!(status.is_success(), "{}: {detail}", status.as_u16());
        Ok(body)
    }
}
