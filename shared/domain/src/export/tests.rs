//! What may happen to an export.

use super::*;
use crate::ids::IdempotencyKey;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn export() -> Export {
    let (tenant, person) = (TenantId::parse("acme").unwrap(), CustomerId::parse("staff-1").unwrap());
    let requested_at = at("2026-04-01T12:00:00Z");
    Export {
        id: ExportId::derive(&tenant, &person, &IdempotencyKey::parse("k").unwrap()),
        tenant,
        requested_by: person,
        fingerprint: Fingerprint::of(b""),
        span: ExportSpan::new(at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z")).unwrap(),
        states: Vec::new(),
        compression: Compression::Gzip,
        requested_at,
        trace: Trace { correlation_id: "c".to_owned(), traceparent: "t".to_owned() },
        state: ExportState::Requested,
        step: 0,
        moved_at: requested_at,
        progress: Progress::default(),
        idle_runs: 0,
        lease: None,
        ended_at: None,
        failure: None,
    }
}

fn begun(export: &Export, run: &str, now: Timestamp) -> Export {
    match export.begin(run, now) {
        Beginning::Run(begun) => *begun,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ord_18_a_span_has_a_beginning_before_its_end_and_at_most_366_days() {
    let span = |from: &str, to: &str| ExportSpan::new(at(from), at(to)).map_err(|invalid| invalid.field);
    assert!(span("2026-01-01T00:00:00Z", "2027-01-02T00:00:00Z").is_ok());
    assert_eq!(span("2026-01-01T00:00:00Z", "2027-01-02T00:00:00.001Z").unwrap_err(), "to");
    assert_eq!(span("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z").unwrap_err(), "from");
    assert_eq!(span("2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00Z").unwrap_err(), "from");
}

#[test]
fn ord_18_ids_of_exports_are_stable_and_no_orders() {
    let export = export();
    // A change here would turn every retry in flight into a second export.
    assert_eq!(export.id.to_string(), "822bf349-a63d-81c4-8aed-2d97074e35f0");
    assert!(export.id.may_be_of(&export.tenant));
    assert!(!export.id.may_be_of(&TenantId::parse("other").unwrap()));
}

#[test]
fn ord_18_a_second_message_begins_nothing_while_the_lease_lasts() {
    let now = at("2026-04-01T12:00:00Z");
    let first = begun(&export(), "run-1", now);
    assert_eq!(first.begin("run-2", now), Beginning::UnderWay);
    let late = now.saturating_add(LEASE).unwrap();
    let second = begun(&first, "run-2", late);
    assert_eq!(second.lease.as_ref().map(|lease| lease.run.as_str()), Some("run-2"));
    assert_eq!((first.step, second.step), (1, 2));
    // A run that stops in order leaves the export to the next at once.
    assert_eq!(begun(&first.rested(now), "run-3", now).step, 3);
}

#[test]
fn ord_18_runs_that_write_nothing_end_an_export_and_a_part_forgives_them() {
    let now = at("2026-04-01T12:00:00Z");
    let mut export = export();
    for _ in 0..IDLE_RUNS_MAX {
        export = begun(&export, "run", now).rested(now);
    }
    let forgiven = export.advanced(Progress::default(), None, now);
    assert_eq!(begun(&forgiven, "run", now).idle_runs, 1);
    match export.begin("run", now) {
        Beginning::GiveUp(failed) => assert_eq!((failed.state, failed.failure.is_some()), (ExportState::Failed, true)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ord_18_what_is_over_stays_over() {
    let now = at("2026-04-01T12:00:00Z");
    let cancelled = export().cancelled(now).unwrap().unwrap();
    assert_eq!(cancelled.cancelled(now), Ok(None));
    assert_eq!(cancelled.begin("run", now), Beginning::Over);
    let done = export().completed(Progress::default(), now);
    assert_eq!(done.cancelled(now), Err(ExportState::Done));
    let later = now.saturating_add(KEPT).unwrap();
    assert_eq!((done.state_at(later), cancelled.state_at(later)), (ExportState::Expired, ExportState::Cancelled));
    assert!(!done.is_silent(later) && export().is_silent(now.saturating_add(SILENCE).unwrap()));
}
