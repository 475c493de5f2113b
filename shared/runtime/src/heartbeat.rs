//! Silence is an alarm: who has to give a sign of life, how often, and what it means if it stays away.

use holdfast_store::Heartbeat;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody who gives signs of life.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    /// Its name: the relay, or a job of maintenance.
    pub name: &'static str,
    /// After how long a silence something is wrong: some times its period.
    pub silence_max: SignedDuration,
    /// What that is.
    pub meaning: Meaning,
}

/// What a silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Orders are taken, and nothing follows from them.
    Standstill,
    /// A safety net is missing.
    Unguarded,
}

const MINUTELY: SignedDuration = SignedDuration::from_mins(5);
const OFTEN: SignedDuration = SignedDuration::from_mins(20);
const DAILY: SignedDuration = SignedDuration::from_hours(26);

const fn beat(name: &'static str, silence_max: SignedDuration) -> Beat {
    Beat { name, silence_max, meaning: Meaning::Unguarded }
}

/// Everybody who gives signs of life. The relay is given something to relay every minute, so that it is heard of on a day
/// without orders, too.
pub const BEATS: [Beat; 11] = [
    Beat { name: "relay", silence_max: MINUTELY, meaning: Meaning::Standstill },
    beat("pulse", MINUTELY),
    beat("outbox-sweep", MINUTELY),
    beat("dead-letters", MINUTELY),
    beat("pools", MINUTELY),
    beat("reconcile-resume", MINUTELY),
    beat("republish-resume", MINUTELY),
    beat("late-holds-resume", OFTEN),
    beat("exports", OFTEN),
    beat("late-holds", DAILY),
    beat("reconcile", DAILY),
];

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Healthy,
    /// A safety net is missing; orders go on.
    Degraded,
    /// Orders are taken, and nothing follows from them.
    Unhealthy,
}

/// How one of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vital {
    /// Who.
    pub beat: &'static str,
    /// How it is.
    pub health: Health,
    /// How long ago it gave its last sign of life; none if it never did.
    pub silence: Option<SignedDuration>,
    /// When that is too long.
    pub silence_max: SignedDuration,
}

/// How everybody is. Who never gave a sign is missing: maintenance notes a first one for each, from which its silence counts.
pub fn vitals(heartbeats: &[Heartbeat], now: Timestamp) -> Vec<Vital> {
    let vital = |beat: &Beat| {
        let last = heartbeats.iter().find(|heartbeat| heartbeat.name == beat.name);
        let silence = last.map(|last| now.duration_since(last.at).max(SignedDuration::ZERO));
        let health = match (silence.is_some_and(|silence| silence <= beat.silence_max), beat.meaning) {
            (true, _) => Health::Healthy,
            (false, Meaning::Unguarded) => Health::Degraded,
            (false, Meaning::Standstill) => Health::Unhealthy,
        };
        Vital { beat: beat.name, health, silence, silence_max: beat.silence_max }
    };
    BEATS.iter().map(vital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_5_a_relay_that_stands_still_for_more_than_five_minutes_is_unhealthy() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let beats = |ago: i64| {
            let at = now.saturating_sub(SignedDuration::from_secs(ago)).unwrap();
            BEATS.map(|beat| Heartbeat { name: beat.name.to_owned(), at: if beat.name == "relay" { at } else { now } })
        };
        let worst = |ago| vitals(&beats(ago), now).into_iter().map(|vital| vital.health).max();
        assert_eq!(worst(300), Some(Health::Healthy));
        assert_eq!(worst(301), Some(Health::Unhealthy));
        assert_eq!(worst(-5), Some(Health::Healthy), "clocks may differ");
    }

    #[test]
    fn ops_5_a_schedule_that_stays_away_degrades_and_so_does_one_that_never_came() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut beats: Vec<_> = BEATS.map(|beat| Heartbeat { name: beat.name.to_owned(), at: now }).into();
        let worst = |beats: &[Heartbeat], now| vitals(beats, now).into_iter().map(|vital| vital.health).max();
        assert_eq!(worst(&beats, now), Some(Health::Healthy));
        beats.retain(|beat| beat.name != "exports");
        assert_eq!(worst(&beats, now), Some(Health::Degraded));
    }
}
