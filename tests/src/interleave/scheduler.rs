//! Who goes next, and what goes wrong: both by the seed.

use super::switchboard::{Call, State, Switchboard};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The service fails before it applies the call.
    Before,
    /// The service applies the call and then fails.
    After,
    /// There are too many calls.
    Throttled,
    /// Another transaction is at the same items.
    Conflict,
    /// No answer; the call may be applied later, or never.
    Hang,
    /// The caller's process stops; the call may be applied later, or never.
    StopBefore,
    /// The service applies the call, and the caller's process stops.
    StopAfter,
}

impl Fault {
    const ALL: [Self; 7] =
        [Self::Before, Self::After, Self::Throttled, Self::Conflict, Self::Hang, Self::StopBefore, Self::StopAfter];
}

/// Decides by the seed.
pub struct Scheduler {
    rng: Rng,
    faults_percent: u32,
    /// Calls whose repetitions by the SDK fail alike, so that faults get past it.
    stuck: HashMap<String, Fault>,
}

enum Step {
    Moved,
    Idle,
    Stop(usize),
}

impl Scheduler {
    /// The scheduler of a seed.
    pub fn new(seed: u64, faults_percent: u32) -> Self {
        // Not the plan's numbers over again.
        Self { rng: Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15), faults_percent, stuck: HashMap::new() }
    }

    /// Lets calls go, one at a time, until `ended` says that nobody makes any.
    ///
    /// Virtual time stands while a task can run, so this task wakes only when all the others wait: for a call, or for
    /// the time. What is chosen from is the same in every run of the seed.
    pub async fn drive(&mut self, board: &Switchboard, ended: impl Fn() -> bool) {
        while !ended() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let step = self.step(&mut board.state());
            match step {
                Step::Moved => {}
                Step::Idle if ended() => {}
                Step::Idle => board.changed.notified().await,
                Step::Stop(lane) => {
                    let running = board.state().running.get(&lane).cloned();
                    running.iter().for_each(tokio::task::AbortHandle::abort);
                }
            }
        }
    }

    /// What nobody waits for is applied after everybody left, or never.
    pub fn leave(&mut self, board: &Switchboard) {
        let mut state = board.state();
        while let Some(call) = state.adrift.pop() {
            match self.rng.bool() {
                true => late(&mut state, call),
                false => state.note(|| format!("lost: {}", call.words())),
            }
        }
    }

    fn step(&mut self, state: &mut State) -> Step {
        if !state.adrift.is_empty() && (state.parked.is_empty() || self.rng.u32(..6) == 0) && self.rng.bool() {
            let call = state.adrift.swap_remove(self.rng.usize(..state.adrift.len()));
            late(state, call);
            return Step::Moved;
        }
        if state.parked.is_empty() {
            return Step::Idle;
        }
        let mut call = state.parked.remove(self.rng.usize(..state.parked.len()));
        if call.is_abandoned() {
            state.adrift.push(call);
            return Step::Moved;
        }
        let fault = self.fault(&call);
        let lane = call.lane;
        if let Some(fault) = fault {
            state.note(|| format!("lane {lane}: {} → {fault:?}", call.words()));
        }
        match fault {
            None => {
                let words = call.words();
                let answer = state.apply(&call.operation, call.body.take());
                state.note(|| format!("lane {lane}: {words} → {}", outcome(&answer.1, answer.0)));
                call.answer(answer);
            }
            Some(Fault::Before) => call.answer(internal()),
            Some(Fault::After) => {
                state.apply(&call.operation, call.body.take());
                call.answer(internal());
            }
            Some(Fault::Conflict) if call.transaction_items() > 0 => {
                let conflict = conflict(call.transaction_items());
                call.answer(conflict);
            }
            Some(Fault::Throttled | Fault::Conflict) => call.answer(throttled()),
            Some(Fault::Hang) => state.adrift.push(call),
            Some(Fault::StopBefore) => {
                state.adrift.push(call);
                return Step::Stop(lane);
            }
            Some(Fault::StopAfter) => {
                state.apply(&call.operation, call.body.take());
                return Step::Stop(lane);
            }
        }
        Step::Moved
    }

    fn fault(&mut self, call: &Call) -> Option<Fault> {
        if let Some(fault) = self.stuck.get(&call.invocation) {
            return Some(*fault);
        }
        if self.rng.u32(..100) >= self.faults_percent {
            return None;
        }
        let fault = Fault::ALL[self.rng.usize(..Fault::ALL.len())];
        // Half of the faults are outlived by the SDK's own repetitions.
        if self.rng.bool() {
            self.stuck.insert(call.invocation.clone(), fault);
        }
        Some(fault)
    }
}

fn late(state: &mut State, call: Call) {
    let (status, body) = state.apply(&call.operation, call.body.clone());
    state.note(|| format!("late, of lane {}: {} → {}", call.lane, call.words(), outcome(&body, status)));
    call.answer((status, body));
}

/// An answer in a few words.
fn outcome(body: &str, status: u16) -> String {
    if status == 200 {
        return "applied".to_owned();
    }
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let kind = body["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
    let reasons = body["CancellationReasons"].as_array().into_iter().flatten();
    let codes: Vec<_> = reasons.map(|reason| reason["Code"].as_str().unwrap_or_default()).collect();
    if codes.is_empty() { kind } else { format!("{kind} [{}]", codes.join(", ")) }
}

fn internal() -> (u16, String) {
    (500, json!({"__type": "com.amazonaws#InternalServerError", "message": "injected"}).to_string())
}

fn throttled() -> (u16, String) {
    (400, json!({"__type": "com.amazonaws#ThrottlingException", "message": "injected"}).to_string())
}

fn conflict(items: usize) -> (u16, String) {
    let mut reasons = vec![json!({"Code": "None"}); items];
    reasons[items - 1] = json!({"Code": "TransactionConflict", "Message": "injected"});
    let kind = "com.amazonaws#TransactionCanceledException";
    (400, json!({"__type": kind, "Message": "injected", "CancellationReasons": reasons}).to_string())
}
