//! Schedule expressions of EventBridge: `rate(1 minute)` and `cron(10 2 * * ? *)`, in UTC.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// How far ahead a date is looked for.
const DAYS_AHEAD: usize = 366 * 8;

/// When something happens again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// At this distance.
    Rate(Duration),
    /// Whenever every field of the clock and the calendar matches.
    Cron(Box<Cron>),
}

/// The values that each field of a cron expression takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<i16>,
    hours: Vec<i16>,
    days: Vec<i16>,
    months: Vec<i16>,
    /// 1 is Sunday.
    weekdays: Vec<i16>,
    years: Vec<i16>,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Recurrence {
    /// The next time after `now`, or `None` when there is none in the next years.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(distance) => now.checked_add(*distance).ok(),
            Self::Cron(cron) => cron.next(now),
        }
    }
}

impl Cron {
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let dates = today.series(1.day()).take(DAYS_AHEAD).filter(|date| self.has(*date));
        let hours = dates.flat_map(|date| self.hours.iter().map(move |hour| (date, *hour)));
        let times = hours.flat_map(|(date, hour)| self.minutes.iter().map(move |minute| (date, hour, *minute)));
        times
            .filter_map(|(date, hour, minute)| {
                let time = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp())
            })
            .find(|time| *time > now)
    }

    fn has(&self, date: Date) -> bool {
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        self.years.contains(&date.year())
            && self.months.contains(&i16::from(date.month()))
            && self.days.contains(&i16::from(date.day()))
            && self.weekdays.contains(&weekday)
    }
}

impl FromStr for Recurrence {
    type Err = anyhow::Error;

    fn from_str(expression: &str) -> anyhow::Result<Self> {
        let not_known = || format!("the schedule {expression} is not known to cargo dev");
        let (kind, fields) =
            expression.strip_suffix(')').and_then(|text| text.split_once('(')).with_context(not_known)?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        match (kind, fields.as_slice()) {
            ("rate", [number, unit]) => {
                let seconds = match unit.trim_end_matches('s') {
                    "minute" => 60,
                    "hour" => 60 * 60,
                    "day" => 24 * 60 * 60,
                    _ => bail!(not_known()),
                };
                let number: u64 = number.parse().ok().filter(|number| *number > 0).with_context(not_known)?;
                Ok(Self::Rate(Duration::from_secs(number * seconds)))
            }
            ("cron", [minutes, hours, days, months, weekdays, years]) => Ok(Self::Cron(Box::new(Cron {
                minutes: field(minutes, 0..=59, &[]).with_context(not_known)?,
                hours: field(hours, 0..=23, &[]).with_context(not_known)?,
                days: field(days, 1..=31, &[]).with_context(not_known)?,
                months: field(months, 1..=12, &MONTHS).with_context(not_known)?,
                weekdays: field(weekdays, 1..=7, &WEEKDAYS).with_context(not_known)?,
                years: field(years, 1970..=2199, &[]).with_context(not_known)?,
            }))),
            _ => bail!(not_known()),
        }
    }
}

/// The values that `text` allows: `*`, `?`, numbers, names, ranges, steps and lists of these.
fn field(text: &str, all: RangeInclusive<i16>, names: &[&str]) -> Option<Vec<i16>> {
    let value = |text: &str| -> Option<i16> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(index) => i16::try_from(index).ok()? + all.start(),
            None => text.parse().ok()?,
        };
        all.contains(&value).then_some(value)
    };
    let mut values = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step: usize = step.map_or(Some(1), |step| step.parse().ok().filter(|step| *step > 0))?;
        let range = match range {
            "*" | "?" => all.clone(),
            range => match range.split_once('-') {
                Some((first, last)) => value(first)?..=value(last)?,
                None if part.contains('/') => value(range)?..=*all.end(),
                None => value(range)?..=value(range)?,
            },
        };
        values.extend(range.step_by(step));
    }
    values.sort_unstable();
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, now: &str) -> String {
        let recurrence: Recurrence = expression.parse().unwrap();
        recurrence.next(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn rates_and_dates_come_round() {
        assert_eq!(next("rate(5 minutes)", "2026-01-01T00:00:30Z"), "2026-01-01T00:05:30Z");
        assert_eq!(next("cron(10 2 * * ? *)", "2026-01-01T00:00:00Z"), "2026-01-01T02:10:00Z");
        assert_eq!(next("cron(10 2 * * ? *)", "2026-01-01T02:10:00Z"), "2026-01-02T02:10:00Z");
        assert_eq!(next("cron(0/15 8-17 ? * MON-FRI *)", "2026-01-02T17:45:00Z"), "2026-01-05T08:00:00Z");
        assert_eq!(next("cron(0 0 29 FEB ? *)", "2026-03-01T00:00:00Z"), "2028-02-29T00:00:00Z");
    }

    #[test]
    fn what_is_not_played_is_named() {
        for expression in ["rate(0 minutes)", "rate(1 week)", "cron(0 0 L * ? *)", "at(2026-01-01T00:00:00)", "daily"] {
            let error = expression.parse::<Recurrence>().unwrap_err();
            assert!(error.to_string().contains(expression), "{error}");
        }
    }
}
