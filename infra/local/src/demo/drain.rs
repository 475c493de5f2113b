//! Waiting for the stack to come to rest, and looking at what is left then.

use super::evidence::Evidence;
use crate::engines::aws::JsonService;
use crate::failure::Failure;
use crate::progress::{Progress, Step};
use crate::stack::Stack;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the outbox and the queues may take to drain: a batch that failed as a whole stays hidden for five
/// minutes, and an event that could not be published is tried again for three and a half.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long orders may stay unpaid beyond their expiry: the worker has to get to their timers.
const EXPIRY_PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// The queues whose messages nobody handles any more.
const DEAD_LETTER_QUEUES: [&str; 5] = [
    "OrderEventsDeadLetters",
    "FulfilmentDeadLetters",
    "NotificationsDeadLetters",
    "ExportsDeadLetters",
    "RelayFailuresQueue",
];

/// Waits until the stream is read to its end, the queues are empty, and no event waits in the outbox to be published.
/// Timers that are not due do not count.
///
/// # Errors
/// When that takes too long: the message says what is still busy.
pub async fn until_idle(dynamodb: &JsonService, stack: &Stack, step: &Step) -> anyhow::Result<()> {
    let start = Instant::now();
    while let Some(busy) = busy(dynamodb, stack).await? {
        if start.elapsed() > PATIENCE {
            let what = format!("the stack did not come to rest within {} s; still busy: {busy}", PATIENCE.as_secs());
            return Err(too_late(what, stack));
        }
        step.note(busy);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn busy(dynamodb: &JsonService, stack: &Stack) -> anyhow::Result<Option<String>> {
    if let Some(busy) = stack.idle().await? {
        return Ok(Some(busy.to_string()));
    }
    let waiting = evidence(dynamodb, stack).await?.outbox.len();
    Ok((waiting > 0).then(|| format!("{waiting} events in the outbox")))
}

/// Waits until every order is paid or has ended.
///
/// # Errors
/// When one is neither long after it should have expired: the message names it.
pub async fn until_settled(
    dynamodb: &JsonService,
    stack: &Stack,
    expiry_seconds: u32,
    progress: &Progress,
) -> anyhow::Result<()> {
    let step = progress.step("unpaid orders");
    let (start, patience) = (Instant::now(), Duration::from_secs(expiry_seconds.into()) + EXPIRY_PATIENCE);
    loop {
        let evidence = evidence(dynamodb, stack).await?;
        let mut waiting = evidence.orders.iter().filter(|order| order.state == "placed");
        let Some(first) = waiting.next() else { break };
        step.note(format!("{} wait for their expiry while the payment provider is down", 1 + waiting.count()));
        if start.elapsed() > patience {
            return Err(too_late(format!("order {} did not expire within {} s", first.id, patience.as_secs()), stack));
        }
        tokio::time::sleep(4 * PAUSE).await;
    }
    step.done("expired");
    Ok(())
}

/// What the table holds now.
///
/// # Errors
/// When it cannot be read.
pub async fn evidence(dynamodb: &JsonService, stack: &Stack) -> anyhow::Result<Evidence> {
    Evidence::read(dynamodb, &stack.endpoints.table).await.context("the table could not be read")
}

/// The messages in every dead-letter queue, by the queue's logical id.
///
/// # Errors
/// When a queue is missing or does not answer.
pub async fn dead_letters(stack: &Stack) -> anyhow::Result<BTreeMap<String, u64>> {
    let depths = stack.queue_depths().await?;
    let messages = |name: &str| {
        let depth = depths.get(name).with_context(|| format!("the stack has no queue {name}"))?;
        anyhow::Ok((name.to_owned(), depth.visible + depth.in_flight + depth.delayed))
    };
    DEAD_LETTER_QUEUES.into_iter().map(messages).collect()
}

fn too_late(what: String, stack: &Stack) -> anyhow::Error {
    Failure::new(what, "read what the functions logged").log(Path::new(&stack.endpoints.logs)).into()
}
