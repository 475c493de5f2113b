//! Dead letters as answers show them.

use holdfast_domain::dead_letter::{DeadLetter, Replay};
use holdfast_domain::routing::Queue;
use holdfast_store::DeadAction;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Letters of one tenant and cause: who failed, how, and at what.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterGroup)]
pub struct GroupView {
    /// Whose they are; null if they do not say.
    tenant: Option<String>,
    /// `<consumer>.<kind>.<event type>`
    #[schema(example = "order-worker.payment-provider.order.placed")]
    fingerprint: String,
    /// The queue they came from; null for records of the table's stream.
    queue: Option<&'static str>,
    /// Who could not handle them.
    consumer: String,
    /// What kind of failure it was.
    kind: String,
    /// The type of the events.
    event_type: String,
    /// How many there are.
    letters: u64,
    /// How many of them were replayed before, and died again.
    replayed_before: u64,
    /// When the first of them was given up.
    first_seen: Timestamp,
    /// When the last of them was.
    last_seen: Timestamp,
    /// The last of them.
    sample: LetterView,
}

/// Causes.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterGroups)]
pub struct GroupsView {
    /// The most letters first.
    pub groups: Vec<GroupView>,
    /// How many letters were counted.
    pub letters: u64,
    /// Whether these are all: counting ends at 10,000 letters, and 1,000 causes are shown.
    pub complete: bool,
}

/// A message that nobody could handle.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct LetterView {
    id: String,
    fingerprint: String,
    /// Whose; null if it does not say.
    tenant: Option<String>,
    queue: Option<&'static str>,
    /// The event's id, or the message's where it has none.
    event_id: String,
    event_type: String,
    /// The last error.
    error: String,
    /// How often it was delivered.
    deliveries: u32,
    /// How often it was replayed before.
    replays: u32,
    died_at: Timestamp,
    correlation_id: String,
    /// Whether it can be replayed.
    replayable: bool,
    /// The message; of one that was too large, its beginning. Not in counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// A page of letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub struct LettersView {
    /// By fingerprint.
    pub letters: Vec<LetterView>,
    /// To be passed as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// What came of a replay or a discard.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = DeadLettersDone)]
pub struct DoneView {
    /// Whether nothing was done, and this is what would be.
    pub dry_run: bool,
    /// How many letters it was done to.
    pub done: u32,
    /// Those it was not done to, and why.
    pub refused: Vec<RefusedView>,
    /// Whether there are more of the cause: repeat the request, with the `cursor` to leave out those that were refused.
    pub more: bool,
    /// Where the rest begins; null if there is none.
    pub cursor: Option<String>,
    /// Over how many seconds the messages are spread; 0 if they go at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread_over_seconds: Option<u32>,
}

/// A letter that nothing was done to.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterRefused)]
pub struct RefusedView {
    pub id: String,
    pub reason: String,
}

/// What somebody did about dead letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterAction)]
pub struct ActionView {
    at: Timestamp,
    /// Who: the `sub` of the token.
    by: String,
    /// `replay` or `discard`.
    action: String,
    /// What was chosen.
    chosen: String,
    letters: u32,
    correlation_id: String,
}

/// What people did, the latest first.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterActions)]
pub struct ActionsView {
    pub actions: Vec<ActionView>,
}

impl GroupView {
    /// A group of one letter.
    pub fn of(letter: &DeadLetter, now: Timestamp) -> Self {
        Self {
            tenant: letter.tenant.as_ref().map(ToString::to_string),
            fingerprint: letter.fingerprint(),
            queue: letter.queue.map(Queue::name),
            consumer: letter.consumer.clone(),
            kind: letter.kind.clone(),
            event_type: letter.event_type.clone(),
            letters: 1,
            replayed_before: u64::from(letter.replays > 0),
            first_seen: letter.died_at,
            last_seen: letter.died_at,
            sample: LetterView::sample(letter, now),
        }
    }

    /// Takes one more letter in.
    pub fn add(&mut self, letter: &DeadLetter, now: Timestamp) {
        self.letters += 1;
        self.replayed_before += u64::from(letter.replays > 0);
        self.first_seen = self.first_seen.min(letter.died_at);
        if letter.died_at > self.last_seen {
            self.last_seen = letter.died_at;
            self.sample = LetterView::sample(letter, now);
        }
    }

    /// How many letters it has.
    pub fn letters(&self) -> u64 {
        self.letters
    }
}

impl LetterView {
    /// A letter as it is now.
    pub fn at(letter: &DeadLetter, now: Timestamp) -> Self {
        Self { body: Some(letter.body.clone()), ..Self::sample(letter, now) }
    }

    /// The same without the message.
    fn sample(letter: &DeadLetter, now: Timestamp) -> Self {
        Self {
            id: letter.id(),
            fingerprint: letter.fingerprint(),
            tenant: letter.tenant.as_ref().map(ToString::to_string),
            queue: letter.queue.map(Queue::name),
            event_id: letter.name.clone(),
            event_type: letter.event_type.clone(),
            error: letter.error.clone(),
            deliveries: letter.deliveries,
            replays: letter.replays,
            died_at: letter.died_at,
            correlation_id: letter.correlation_id.clone(),
            replayable: !matches!(letter.replay(now), Replay::Impossible(_)),
            body: None,
        }
    }
}

impl From<DeadAction> for ActionView {
    fn from(action: DeadAction) -> Self {
        let DeadAction { by, action: what, chosen, letters, at, correlation_id, .. } = action;
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { at, by, action: what, chosen, letters, correlation_id }
    }
}
