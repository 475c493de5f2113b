//! Keys of what goes out: events that wait to be published, dead letters, and the signs of life of those who see to both.

use super::{Key, instant};
use holdfast_domain::ids::TenantId;
use holdfast_domain::routing::Queue;
use jiff::Timestamp;

/// The number of partitions of the outbox.
pub const OUTBOX_SHARDS: u8 = 8;

/// A shard of the outbox.
pub fn outbox(shard: u8) -> String {
    format!("outbox#{shard}")
}

/// The partition of entries that were published in the end.
pub const OUTBOX_DONE: &str = "outbox#done";

/// The shard of the outbox that an event of this id is kept in.
pub fn outbox_shard(event_id: &str) -> u8 {
    // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), only to spread entries.
    let hash = event_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash % u64::from(OUTBOX_SHARDS)) as u8
}

/// The place of an entry of the outbox: sorts by when it is due. One event may be kept for several queues.
pub fn outbox_position(due_at: Timestamp, event_id: &str, queue: Queue) -> String {
    let suffix = match queue {
        Queue::Orders => String::new(),
        queue => format!("#{}", queue.name()),
    };
    format!("{}#{event_id}{suffix}", instant(due_at))
}

/// The partition of dead letters. Their sort keys begin with the tenant, so that a tenant's are a range of their own.
pub const DEAD: &str = "dead";

/// What the sort keys of a tenant's dead letters begin with, or of those of nobody. Ids of tenants hold no `~`.
pub fn dead_prefix(tenant: Option<&TenantId>) -> String {
    format!("{}#", tenant.map_or("~", TenantId::as_str))
}

/// A dead letter, by its id.
pub fn dead_letter(tenant: Option<&TenantId>, id: &str) -> Key {
    Key::new(DEAD.to_owned(), format!("{}{id}", dead_prefix(tenant)))
}

/// The partition of what people did about dead letters.
pub const DEAD_ACTIONS: &str = "dead#actions";

/// Something that somebody did about dead letters of a tenant, or of any.
pub fn dead_action(tenant: Option<&TenantId>, at: Timestamp, random: u64) -> Key {
    Key::new(DEAD_ACTIONS.to_owned(), format!("{}{}#{random:016x}", dead_prefix(tenant), instant(at)))
}

/// The partition of signs of life.
pub const HEARTBEATS: &str = "heartbeats";

/// The sort key of the pulse: what maintenance writes so that the relay has something to relay.
pub const PULSE_SK: &str = "pulse";

/// The last sign of life of whoever has this name.
pub fn heartbeat(name: &str) -> Key {
    Key::new(HEARTBEATS.to_owned(), format!("beat#{name}"))
}

/// The pulse.
pub fn pulse() -> Key {
    Key::new(HEARTBEATS.to_owned(), PULSE_SK)
}
