//! How a stream mapping retries a batch: pure decisions, no input or output.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// What a function made of a part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All records are handled.
    Handled,
    /// The function failed as a whole.
    Failed,
    /// The records before this one, counted from the start of the part, are handled.
    FailedFrom(usize),
}

/// A batch of records, cut into the parts that are still to be handled, in order.
#[derive(Debug)]
pub struct Batch {
    parts: VecDeque<Part>,
    bisect: bool,
    /// `None` retries without end.
    retries_max: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    records: Range<usize>,
    retries: u32,
}

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(10);

impl Batch {
    /// A batch of `length` records.
    pub fn new(length: usize, bisect: bool, retries_max: Option<u32>) -> Self {
        let whole = Part { records: 0..length, retries: 0 };
        Self { parts: (length > 0).then_some(whole).into_iter().collect(), bisect, retries_max }
    }

    /// The records to hand to the function next; `None` when the batch is over.
    pub fn next(&self) -> Option<Range<usize>> {
        self.parts.front().map(|part| part.records.clone())
    }

    /// How often the next records were tried before, in vain.
    pub fn retries(&self) -> u32 {
        self.parts.front().map_or(0, |part| part.retries)
    }

    /// How long to wait before the next attempt: not at all before a first one, then longer each time.
    pub fn pause(&self) -> Duration {
        match self.retries() {
            0 => Duration::ZERO,
            retries => PAUSE_MAX.min(Duration::from_millis(50) * 2_u32.saturating_pow(retries.min(16))),
        }
    }

    /// Takes the verdict on the records of [`Self::next`]. Returns the records that are given up now.
    pub fn judge(&mut self, verdict: Verdict) -> Option<Range<usize>> {
        let mut part = self.parts.pop_front()?;
        match verdict {
            Verdict::Handled => return None,
            Verdict::FailedFrom(first) if first >= part.records.len() => return None,
            // The position in the stream has moved, so this is a new batch with retries of its own.
            Verdict::FailedFrom(first) if first > 0 => {
                part.records.start += first;
                part.retries = 0;
                self.parts.push_front(part);
                return None;
            }
            Verdict::FailedFrom(_) | Verdict::Failed => {}
        }
        // To split a batch does not count as a retry.
        if self.bisect && part.records.len() > 1 {
            let middle = part.records.start + part.records.len() / 2;
            let halves = [part.records.start..middle, middle..part.records.end];
            for records in halves.into_iter().rev() {
                self.parts.push_front(Part { records, retries: part.retries });
            }
            return None;
        }
        if self.retries_max.is_some_and(|max| part.retries >= max) {
            return Some(part.records);
        }
        part.retries += 1;
        self.parts.push_front(part);
        None
    }

    /// Gives up the first `count` records of [`Self::next`]. The others are a new batch, with retries of its own.
    pub fn discard(&mut self, count: usize) -> Option<Range<usize>> {
        let part = self.parts.pop_front()?;
        let end = part.records.end.min(part.records.start + count);
        if end < part.records.end {
            self.parts.push_front(Part { records: end..part.records.end, retries: 0 });
        }
        Some(part.records.start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a batch against a function that never handles `poison`, and reports partial failures if `partial`.
    fn play(length: usize, poison: usize, bisect: bool, partial: bool) -> (Vec<usize>, Vec<usize>, usize) {
        let mut batch = Batch::new(length, bisect, Some(3));
        let (mut handled, mut discarded, mut calls) = (Vec::new(), Vec::new(), 0);
        while let Some(records) = batch.next() {
            calls += 1;
            let verdict = match records.clone().position(|record| record == poison) {
                None => Verdict::Handled,
                Some(first) if partial => Verdict::FailedFrom(first),
                Some(_) => Verdict::Failed,
            };
            match verdict {
                Verdict::Handled => handled.extend(records.clone()),
                Verdict::FailedFrom(first) => handled.extend(records.start..records.start + first),
                Verdict::Failed => {}
            }
            discarded.extend(batch.judge(verdict).into_iter().flatten());
        }
        (handled, discarded, calls)
    }

    #[test]
    fn without_a_split_the_whole_batch_is_given_up() {
        assert_eq!(play(4, 2, false, false), (vec![], vec![0, 1, 2, 3], 4));
    }

    #[test]
    fn a_split_isolates_the_poison() {
        let (handled, discarded, _) = play(10, 7, true, false);
        assert_eq!(handled, [0, 1, 2, 3, 4, 5, 6, 8, 9]);
        assert_eq!(discarded, [7]);
    }

    #[test]
    fn a_partial_failure_moves_on_from_the_first_failed_record() {
        let (handled, discarded, _) = play(10, 7, true, true);
        assert_eq!((handled, discarded), (vec![0, 1, 2, 3, 4, 5, 6, 8, 9], vec![7]));
        let (handled, discarded, _) = play(10, 7, false, true);
        assert_eq!((handled, discarded), (vec![0, 1, 2, 3, 4, 5, 6], vec![7, 8, 9]));
    }

    /// "Maximum age of record – The maximum age of a record that Lambda sends to your function." Younger ones are sent.
    #[test]
    fn only_the_records_that_are_too_old_are_discarded() {
        let mut batch = Batch::new(6, true, Some(3));
        assert_eq!(batch.judge(Verdict::Failed), None);
        assert_eq!(batch.discard(2), Some(0..2));
        assert_eq!((batch.next(), batch.retries()), (Some(2..3), 0));
        assert_eq!(batch.judge(Verdict::Handled), None);
        assert_eq!(batch.next(), Some(3..6));
        assert_eq!(batch.discard(9), Some(3..6));
        assert_eq!(batch.next(), None);
    }

    #[test]
    fn without_a_limit_a_batch_is_never_given_up() {
        let mut batch = Batch::new(1, true, None);
        for _ in 0..100 {
            assert_eq!(batch.judge(Verdict::Failed), None);
        }
        assert_eq!(batch.pause(), PAUSE_MAX);
        assert_eq!(batch.judge(Verdict::Handled), None);
        assert_eq!(batch.next(), None);
    }
}
