//! What attempts at a product that is sold out cost, over several environments.

use std::time::Instant;

use futures_util::future::try_join_all;
use holdfast_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::handler::{Handler, stock};
use crate::engines::aws::JsonService;

/// Stripes of the product.
const STRIPES: u64 = 64;
/// Environments that are asked for it at the same time.
const ENVIRONMENTS: usize = 16;

/// The cost of an attempt.
#[derive(Serialize, Deserialize)]
pub struct SoldOutFigures {
    /// How many there were.
    pub attempts: usize,
    /// By how many environments.
    pub environments: usize,
    /// Over how many stripes.
    pub stripes: u64,
    /// Read capacity units of one, on average.
    pub rcu: f64,
    /// Write capacity units of one, on average.
    pub wcu: f64,
    /// Calls of one, on average.
    pub calls: f64,
    /// How long all took, in s.
    pub seconds: f64,
}

/// Tries to order what is sold out.
///
/// # Errors
/// When the product is sold, or the table fails.
pub async fn measure(
    service: &JsonService,
    store: &Store,
    table: &str,
    attempts: usize,
) -> anyhow::Result<SoldOutFigures> {
    stock(service, table, "gone", STRIPES, STRIPES).await?;
    let lines = |quantity: u64| json!([{"product_id": "gone", "quantity": quantity}]);
    Handler::new(store)?.with_lines(lines(STRIPES))?.place("all").await?;
    let environments = (0..ENVIRONMENTS).map(|_| Handler::new(store)?.with_lines(lines(1)));
    let environments: Vec<_> = environments.collect::<anyhow::Result<_>>()?;
    let each = attempts / ENVIRONMENTS;
    let begun = Instant::now();
    let spent = environments.iter().enumerate().map(|(number, environment)| async move {
        let (mut rcu, mut wcu, mut calls) = (0.0, 0.0, 0);
        for attempt in 0..each {
            let (status, body, spent) = environment.send(&format!("gone-{number}-{attempt}")).await?;
            anyhow::ensure!(status == axum::http::StatusCode::CONFLICT, "{status}: {body}");
            rcu += spent.rcu;
            wcu += spent.wcu;
            calls += spent.calls;
        }
        Ok((rcu, wcu, calls))
    });
    let spent = try_join_all(spent).await?;
    let count = (each * ENVIRONMENTS) as f64;
    Ok(SoldOutFigures {
        attempts: each * ENVIRONMENTS,
        environments: ENVIRONMENTS,
        stripes: STRIPES,
        rcu: spent.iter().map(|(rcu, ..)| rcu).sum::<f64>() / count,
        wcu: spent.iter().map(|(_, wcu, _)| wcu).sum::<f64>() / count,
        calls: spent.iter().map(|(.., calls)| calls).sum::<u64>() as f64 / count,
        seconds: begun.elapsed().as_secs_f64(),
    })
}
