//! What is done to dead letters, one after the other, and the record of it.

use crate::App;
use crate::act::Choice;
use crate::letters::Owner;
use crate::view::{DoneView, RefusedView};
use holdfast_domain::dead_letter::{DeadLetter, Replay};
use holdfast_runtime::http::{Problem, Scope};
use holdfast_runtime::routing::Routed;
use holdfast_runtime::worker::REPLAYS_ATTRIBUTE;
use holdfast_store::{DeadAction, Store, StoreError, keys};
use std::time::{Duration, Instant};

/// How long a request goes on, so that it can still answer within its 9 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is done to letters.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    Replay { rate: Option<u32> },
    Discard,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::Discard => "discard",
        }
    }

    /// After how many seconds the message is delivered that follows on so many others.
    fn delay(self, others: u32) -> u32 {
        match self {
            Self::Replay { rate: Some(rate) } => others / rate,
            Self::Replay { rate: None } | Self::Discard => 0,
        }
    }
}

/// What became of one letter.
enum Fate {
    /// It was done.
    Done,
    /// It cannot be: why.
    Refused(String),
    /// It was sent, and is still there: it will be sent again.
    Left(Problem),
}

impl App {
    /// Does something to each letter of a choice, while there is time, and until there is trouble; notes what was done.
    pub(crate) async fn act(
        &self,
        store: &Store,
        scope: &Scope,
        owner: &Owner,
        choice: &Choice,
        action: Action,
        dry_run: bool,
    ) -> Result<axum::Json<DoneView>, Problem> {
        let cursor = choice.cursor.clone();
        let mut done = DoneView { dry_run, more: cursor.is_some(), cursor, ..DoneView::default() };
        let (begun, mut trouble, mut last) = (Instant::now(), None, None);
        for letter in &choice.letters {
            if begun.elapsed() > PATIENCE {
                (done.more, done.cursor) = (true, last.map(|sk: String| self.cursor_key.seal(&choice.list, &sk)));
                break;
            }
            last = Some(keys::dead_letter(letter.tenant.as_ref(), &letter.id()).sk);
            match self.act_on(store, letter, action, action.delay(done.done), dry_run).await {
                Ok(Fate::Done) => done.done += 1,
                Ok(Fate::Refused(reason)) => done.refused.push(RefusedView { id: letter.id(), reason }),
                Ok(Fate::Left(problem)) => {
                    done.done += 1;
                    trouble = Some(problem);
                    break;
                }
                Err(problem) => {
                    trouble = Some(problem);
                    break;
                }
            }
        }
        if matches!(action, Action::Replay { .. }) {
            done.spread_over_seconds = Some(action.delay(done.done.saturating_sub(1)));
        }
        self.note(store, scope, owner, action.name(), choice, &done).await?;
        trouble.map_or(Ok(axum::Json(done)), Err)
    }

    async fn act_on(
        &self,
        store: &Store,
        letter: &DeadLetter,
        action: Action,
        delay: u32,
        dry_run: bool,
    ) -> Result<Fate, Problem> {
        match (action, letter.replay(self.clock.now())) {
            (Action::Replay { .. }, Replay::Impossible(reason)) => Ok(Fate::Refused(reason.to_owned())),
            (_, _) if dry_run => Ok(Fate::Done),
            (Action::Replay { .. }, replay) => match self.send(store, letter, replay, delay).await? {
                Ok(()) => Ok(store
                    .dead_letter_remove(letter)
                    .await
                    .map_or_else(|error| Fate::Left(error.into()), |_| Fate::Done)),
                Err(reason) => Ok(Fate::Refused(reason)),
            },
            (Action::Discard, _) => match store.dead_letter_remove(letter).await? {
                true => Ok(Fate::Done),
                false => Ok(Fate::Refused("It was replayed, discarded, or died again meanwhile.".to_owned())),
            },
        }
    }

    /// Sends what a letter is to its queue; in words why that cannot be.
    async fn send(
        &self,
        store: &Store,
        letter: &DeadLetter,
        replay: Replay,
        delay: u32,
    ) -> Result<Result<(), String>, Problem> {
        let unsent = |error: String| {
            tracing::error!(
                event_id = letter.name,
                correlation_id = letter.correlation_id,
                error,
                "letter_not_replayed"
            );
            Problem::unavailable().detail("A queue took no message. What was replayed is done; repeat it for the rest.")
        };
        match replay {
            Replay::Message(queue) => {
                let Some(publisher) = self.queues.of(queue) else {
                    return Ok(Err(format!("There is no queue {}.", queue.name())));
                };
                let replays = (letter.replays + 1).to_string();
                let attributes = [("type", letter.event_type.as_str()), (REPLAYS_ATTRIBUTE, &replays)];
                // SQS takes no attribute that is empty or has odd characters; a stranger chose the type.
                let plain = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
                let attributes = attributes.into_iter().filter(|(_, value)| plain(value));
                let delay = i32::try_from(delay).unwrap_or(i32::MAX);
                let sent = publisher.send(letter.body.clone(), delay, attributes).await;
                sent.map(Ok).map_err(|error| unsent(error.to_string()))
            }
            Replay::Order(tenant, order_id) => {
                let changes = match store.order_changes_read(&tenant, order_id).await {
                    Ok(Some(changes)) => changes,
                    Ok(None) => return Ok(Err("There is no such order any more.".to_owned())),
                    Err(StoreError::Corrupt { problem, .. }) => {
                        return Ok(Err(format!("The order is still not readable: {problem}.")));
                    }
                    Err(error) => return Err(error.into()),
                };
                let now = self.clock.now();
                let routed =
                    changes.into_iter().flat_map(|change| Routed::of_change_again(change, self.recovery_after, now));
                let routed: Vec<_> = routed.collect();
                match self.queues.publish(&routed).await.pop() {
                    None => Ok(Ok(())),
                    Some(unpublished) => Err(unsent(unpublished.error)),
                }
            }
            Replay::Impossible(reason) => Ok(Err(reason.to_owned())),
        }
    }

    /// Keeps what was done, by whom.
    async fn note(
        &self,
        store: &Store,
        scope: &Scope,
        owner: &Owner,
        what: &'static str,
        choice: &Choice,
        done: &DoneView,
    ) -> Result<(), Problem> {
        scope.notes.outcome(if done.dry_run { "dry-run" } else { what });
        if done.dry_run || done.done == 0 {
            return Ok(());
        }
        let action = DeadAction {
            tenant: owner.tenant().cloned(),
            by: scope.caller.customer.id.to_string(),
            action: what.to_owned(),
            chosen: choice.words.clone(),
            letters: done.done,
            at: self.clock.now().as_millisecond(),
            correlation_id: scope.trace.correlation_id.clone(),
        };
        tracing::warn!(
            by = action.by,
            action = action.action,
            chosen = action.chosen,
            letters = action.letters,
            correlation_id = action.correlation_id,
            tenant = scope.caller.tenant.as_str(),
            "dead_letters_changed"
        );
        Ok(store.dead_action_put(&action, rand::random()).await?)
    }
}
