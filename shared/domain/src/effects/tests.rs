use super::*;
use crate::routing::queues_of;
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn out_4_what_sells_or_owes_happens_with_the_request() {
    for effect in EFFECTS {
        let in_transaction = effect.safe_by == SafeBy::Transaction;
        assert_eq!(effect.moment == Moment::WithRequest, in_transaction, "{}", effect.name);
        assert!(EventKind::ALL.into_iter().any(effect.after), "{} follows from nothing", effect.name);
    }
}

#[test]
fn out_4_every_effect_behind_a_queue_gets_its_events() {
    for effect in EFFECTS {
        let Moment::Through(queue) = effect.moment else { continue };
        for kind in EventKind::ALL.into_iter().filter(|kind| (effect.after)(*kind)) {
            assert!(queues_of(&kind.event_type()).contains(&queue), "{} of {}", effect.name, kind.name());
        }
    }
}

/// The page on events says what the tables say; `UPDATE_DOCS=1` writes it.
#[test]
fn out_4_the_page_on_events_is_that_of_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/events.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "infra/events.md is out of date: run UPDATE_DOCS=1 cargo test -p holdfast-domain page_on");
}

fn page() -> String {
    let mut page = String::from(
        "# Events and what follows from them\n\nWritten by a test of `shared/domain/src/effects.rs`.\n\n\
         ## Effects\n\n| effect | when | safe by | why then |\n|---|---|---|---|\n",
    );
    for effect in EFFECTS {
        let when = match effect.moment {
            Moment::WithRequest => "with the request".to_owned(),
            Moment::Through(queue) => format!("queue `{}`", queue.name()),
        };
        let safe_by = match effect.safe_by {
            SafeBy::Transaction => "the transaction",
            SafeBy::State => "the order's state",
            SafeBy::Lease => "a lease",
        };
        writeln!(page, "| {} | {when} | {safe_by} | {} |", effect.name, effect.reason).unwrap();
    }
    page.push_str(
        "\n## Events\n\nTypes begin with `com.holdfast.order.`; each has its schema at `GET /events/schema/{type}`.\n\n\
         | event | queues | effects |\n|---|---|---|\n",
    );
    for kind in EventKind::ALL {
        let queues: Vec<_> =
            queues_of(&kind.event_type()).into_iter().map(|queue| format!("`{}`", queue.name())).collect();
        let effects: Vec<_> = EFFECTS.iter().filter(|effect| (effect.after)(kind)).map(|effect| effect.name).collect();
        writeln!(page, "| `{}` | {} | {} |", kind.name(), queues.join(", "), effects.join(", ")).unwrap();
    }
    page
}
