//! Why a message is not done, and what then.

/// The longest that a message may stay unseen, in seconds: 12 hours, counted from when it was received (Amazon SQS,
/// `ChangeMessageVisibility`), and so some minutes less when it has failed.
const VISIBILITY_SECONDS_MAX: i32 = 42_000;

/// What kind of failure it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name: failures of one kind have one cause, which is how people find dead letters.
    pub kind: &'static str,
    pub(super) end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It will never be done.
    Poison,
    /// It may be done later.
    Retry {
        /// In so many seconds, if somebody asked to wait.
        after_seconds: Option<u32>,
    },
}

impl Failure {
    /// The message will never be done: it is buried at once.
    pub fn poison(kind: &'static str) -> Self {
        Self { kind, end: End::Poison }
    }

    /// Another delivery may help.
    pub fn retry(kind: &'static str) -> Self {
        Self { kind, end: End::Retry { after_seconds: None } }
    }

    /// Another delivery may help, in so many seconds: whoever was asked said so.
    pub fn retry_after(kind: &'static str, seconds: Option<u32>) -> Self {
        Self { kind, end: End::Retry { after_seconds: seconds } }
    }

    /// How long a message that was received so often waits for its next delivery: 5 s, 25 s, 125 s, 625 s, so that five
    /// deliveries outlast a short outage; and as long as it was asked to wait.
    pub(super) fn pause_seconds(&self, received: u32) -> i32 {
        let End::Retry { after_seconds } = self.end else { return 0 };
        let asked = after_seconds.and_then(|seconds| i32::try_from(seconds).ok()).unwrap_or(0);
        5_i32.pow(received.clamp(1, 4)).max(asked).min(VISIBILITY_SECONDS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ship_1_a_failed_message_waits_longer_each_time_and_as_long_as_it_was_asked() {
        let pauses = |failure: &Failure| [0, 1, 2, 3, 4, 5].map(|received| failure.pause_seconds(received));
        assert_eq!(pauses(&Failure::retry("down")), [5, 5, 25, 125, 625, 625]);
        assert_eq!(pauses(&Failure::retry_after("busy", Some(60))), [60, 60, 60, 125, 625, 625]);
        assert_eq!(pauses(&Failure::retry_after("busy", Some(u32::MAX))), [5, 5, 25, 125, 625, 625]);
        assert_eq!(pauses(&Failure::retry_after("busy", Some(86_400))), [VISIBILITY_SECONDS_MAX; 6]);
        assert_eq!(pauses(&Failure::poison("unreadable")), [0; 6]);
    }
}
