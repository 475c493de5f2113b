//! A day of failures in a minute: processes killed at random, messages that nobody can handle, and the outside down; then the
//! mending, as an operator does it.

use super::drain;
use super::evidence::Evidence;
use crate::engines::aws::JsonService;
use crate::engines::functions::Killer;
use crate::ops::client::{Group, Operator};
use crate::ops::shown;
use crate::progress::{Progress, Step};
use crate::stack::Stack;
use anyhow::Context as _;
use holdfast_domain::event::ORDER_TYPE_PREFIX;
use holdfast_domain::routing::queues_of;
use rand::seq::IndexedRandom as _;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a message of a worker that was killed stays hidden, in place of the template's minutes: a day is to pass in
/// one.
pub const VISIBILITY_SECONDS: u64 = 6;
/// How often a message is delivered before SQS puts it aside.
pub const DELIVERIES_MAX: u64 = 3;
/// When an invocation counts as lost whose process was killed.
pub const TIMEOUT: Duration = Duration::from_secs(8);
/// How long the functions of a running day live, on average.
const BETWEEN_KILLS: (u64, u64) = (300, 1_200);
/// How long the outside is down, every so often.
const OUTAGE: Duration = Duration::from_secs(3);
const BETWEEN_OUTAGES: Duration = Duration::from_secs(9);
/// The functions that are killed.
const VICTIMS: [&str; 5] = ["orders", "outbox-relay", "order-worker", "notifier", "maintenance"];
/// Whose the poison says it is.
const POISONER: &str = "poisoner";
/// How often what died is replayed until nothing of it is ours.
const ROUNDS_MAX: usize = 5;
/// How long collecting may take: twice the time for which a message stays hidden that somebody received.
const COLLECTING: Duration = Duration::from_secs(120);
const BETWEEN_COLLECTIONS: Duration = Duration::from_secs(1);

/// What was done to the stack, and what it took to mend it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Chaos {
    /// Processes killed, by function.
    pub killed: BTreeMap<String, u64>,
    /// Times the payment provider and the carrier were down.
    pub outages: u64,
    /// Messages sent that nobody can handle.
    pub poisoned: u64,
    /// Dead letters found.
    pub dead: u64,
    /// Dead letters replayed.
    pub replayed: u64,
    /// Dead letters discarded: those of the poison.
    pub discarded: u64,
}

/// Makes failures until it is dropped, and counts them.
pub async fn reign(stack: &Stack, chaos: &Mutex<Chaos>) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let sqs = JsonService::sqs(client.clone(), &stack.endpoints.sqs_url);
    let killer = stack.killer().context("the stack has functions")?;
    poison(stack, &sqs, chaos).await?;
    let kills = kill(&killer, chaos);
    let outages = outages(stack, &client, chaos);
    tokio::try_join!(kills, outages).map(|_| ())
}

async fn kill(killer: &Killer, chaos: &Mutex<Chaos>) -> anyhow::Result<()> {
    loop {
        let pause = rand::random_range(BETWEEN_KILLS.0..BETWEEN_KILLS.1);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let victim = VICTIMS.choose(&mut rand::rng()).copied().unwrap_or("order-worker");
        if killer.kill_one(victim) {
            *lock(chaos).killed.entry(victim.to_owned()).or_default() += 1;
        }
    }
}

async fn outages(stack: &Stack, client: &reqwest::Client, chaos: &Mutex<Chaos>) -> anyhow::Result<()> {
    loop {
        let down = json!({"path_prefix": "/", "mode": "refuse", "times": u32::MAX});
        for url in [&stack.endpoints.payment_url, &stack.endpoints.carrier_url] {
            client.post(format!("{url}/_faults")).json(&down).send().await?.error_for_status()?;
        }
        lock(chaos).outages += 1;
        tokio::time::sleep(OUTAGE).await;
        calm(stack).await?;
        tokio::time::sleep(BETWEEN_OUTAGES).await;
    }
}

/// Ends whatever outage is under way.
///
/// # Errors
/// When an engine does not answer.
pub async fn calm(stack: &Stack) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    for url in [&stack.endpoints.payment_url, &stack.endpoints.carrier_url] {
        client.delete(format!("{url}/_faults")).send().await?.error_for_status()?;
    }
    Ok(())
}

/// Sends every queue what it should never get.
async fn poison(stack: &Stack, sqs: &JsonService, chaos: &Mutex<Chaos>) -> anyhow::Result<()> {
    let order = "822b8224-07ef-8495-88e0-f8b7b79d9970";
    let event = |kind: &str, version: &str| {
        json!({
            "specversion": version, "id": format!("{order}/1"), "source": "/tenants/demo/orders", "type": kind,
            "subject": order, "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "correlationid": "poison",
            "data": {"tenant": POISONER, "order_id": order, "version": 1, "state": "placed", "due_at": 0},
        })
        .to_string()
    };
    let bodies = [
        "not JSON".to_owned(),
        r#"{"not":"an event"}"#.to_owned(),
        event("com.holdfast.order.exploded", "1.0"),
        event("com.holdfast.order.placed", "2.0"),
        event("com.holdfast.order.placed", "1.0"),
        event("com.holdfast.order.shipping", "1.0"),
        "x".repeat(200_000),
    ];
    for queue in ["OrderEventsQueue", "FulfilmentQueue", "NotificationsQueue", "ExportsQueue"] {
        let url = stack.endpoints.queues.get(queue).with_context(|| format!("the stack has no queue {queue}"))?;
        for body in &bodies {
            sqs.call("SendMessage", &json!({"QueueUrl": url, "MessageBody": body})).await?;
            lock(chaos).poisoned += 1;
        }
    }
    Ok(())
}

/// Mends what the day broke: takes what SQS put aside, shows it, replays it until nothing is left that helps, and discards
/// the poison.
///
/// # Errors
/// When it does not come to rest, or something is left that is neither done nor poison.
pub async fn mend(
    dynamodb: &JsonService,
    stack: &Stack,
    chaos: &Mutex<Chaos>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let operator = Operator::of(&stack.endpoints)?;
    let step = progress.step("mending");
    let mut groups = collected(dynamodb, stack, &operator, &step).await?;
    lock(chaos).dead += groups.iter().map(|group| group.letters).sum::<u64>();
    step.say(&shown(&groups));
    for _ in 0..ROUNDS_MAX {
        // A replay may help what died of a crash or of somebody being down, and not what nobody will ever understand.
        let curable: Vec<_> = groups.iter().filter(|group| !is_poison(group)).collect();
        if curable.is_empty() {
            break;
        }
        for group in curable {
            step.note(format!("replaying {}", group.fingerprint));
            let replayed = operator.act_on("replay", group).await?;
            lock(chaos).replayed += replayed;
        }
        groups = collected(dynamodb, stack, &operator, &step).await?;
    }
    for group in groups.iter().filter(|group| is_poison(group)) {
        let discarded = operator.act_on("discard", group).await?;
        lock(chaos).discarded += discarded;
    }
    let (left, _) = operator.groups(None, None).await?;
    anyhow::ensure!(left.is_empty(), "some letters died again after every replay:\n{}", shown(&left));
    let Chaos { replayed, discarded, killed, outages, .. } = lock(chaos).clone();
    anyhow::ensure!(!killed.is_empty() && outages > 0, "nothing was broken: {killed:?} killed, {outages} outages");
    step.done(&format!("{replayed} replayed, {discarded} discarded"));
    Ok(())
}

/// The dead letters at rest: once nobody is at work, and what SQS put aside is collected to the last message. Who was
/// killed while collecting leaves what it had received hidden from the next for a while.
async fn collected(
    dynamodb: &JsonService,
    stack: &Stack,
    operator: &Operator,
    step: &Step,
) -> anyhow::Result<Vec<Group>> {
    let mut began = None;
    loop {
        drain::until_idle(dynamodb, stack, step).await?;
        let start = *began.get_or_insert_with(Instant::now);
        operator.job(&json!({"job": "dead-letters"})).await?;
        let waiting = drain::dead_letters(stack).await?;
        if waiting.values().all(|messages| *messages == 0) {
            return Ok(operator.groups(None, None).await?.0);
        }
        anyhow::ensure!(start.elapsed() < COLLECTING, "dead letters are not collected: {waiting:?}");
        step.note(format!("{} messages are put aside and not collected yet", waiting.values().sum::<u64>()));
        tokio::time::sleep(BETWEEN_COLLECTIONS).await;
    }
}

fn is_poison(group: &Group) -> bool {
    // What is the demo's own and cannot be handled is a defect, and stays for the laws to find.
    if group.tenant.as_deref().is_some_and(|tenant| tenant != POISONER) {
        return false;
    }
    let kind = group.fingerprint.split('.').nth(1).unwrap_or_default();
    matches!(kind, "unreadable" | "no-such-order" | "no-such-export") || !group.sample.replayable
}

/// How often events were delivered beyond once to each queue that takes them, and how often at all.
pub fn duplicates(stack: &Stack, evidence: &Evidence) -> (u64, u64) {
    let delivered = stack.deliveries.snapshot();
    let mut counted = (0, 0);
    for order in &evidence.orders {
        for (kind, version) in order.history.iter().zip(1..) {
            let queues = queues_of(&format!("{ORDER_TYPE_PREFIX}{kind}")).len() as u64;
            let id = format!("{}/{version}", order.id);
            let deliveries = delivered.get(&id).map_or(0, |delivery| delivery.delivered);
            counted = (counted.0 + deliveries.saturating_sub(queues), counted.1 + deliveries);
        }
    }
    counted
}

fn lock(chaos: &Mutex<Chaos>) -> std::sync::MutexGuard<'_, Chaos> {
    chaos.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What is not as in the template, in words.
pub fn hurry() -> String {
    let seconds = TIMEOUT.as_secs();
    format!(
        "so that a day passes in minutes: messages stay hidden for {VISIBILITY_SECONDS} s, are put aside after \
         {DELIVERIES_MAX} deliveries, and functions time out after {seconds} s at most"
    )
}

/// The overrides of a queue's attributes.
pub fn hurried(attributes: &mut BTreeMap<String, String>) {
    let Some(policy) = attributes.get("RedrivePolicy") else { return };
    let mut policy: Value = serde_json::from_str(policy).unwrap_or_default();
    policy["maxReceiveCount"] = json!(DELIVERIES_MAX);
    attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
    attributes.insert("VisibilityTimeout".to_owned(), VISIBILITY_SECONDS.to_string());
}
