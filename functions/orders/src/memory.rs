//! What this environment remembers of pools: which stripes served it, which were short, and what is sold out.
//!
//! A memory may be wrong. Nothing is refused on its word alone but that a product is sold out, for the second after all
//! its stripes were read.

use holdfast_domain::ids::{ProductId, TenantId};
use holdfast_domain::pool::{Claim, Next, PoolId, PoolMemory, Room, StripeNumber};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many pools are remembered before the memory starts anew; one of a few stripes takes about 300 bytes, one of
/// 1,024 about 4 KB.
const POOLS_MAX: usize = 4_096;

/// How long the pressure on a pool is not noted again, in ms: the note is an item that all environments write.
const PRESSED_MS: u64 = 10_000;

/// The pools that this environment has dealt with.
#[derive(Default)]
pub struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    pools: HashMap<(TenantId, PoolId), PoolMemory>,
    /// The units that a product had in all its pools together when all were read, and until when that counts (ms).
    sold_out: HashMap<(TenantId, ProductId), (u64, u64)>,
    /// When the pressure on a pool was noted last, in ms.
    pressed: HashMap<(TenantId, PoolId), u64>,
}

impl Memory {
    /// What to do to get units of a pool.
    pub fn next(&self, tenant: &TenantId, pool: &PoolId, stripes: StripeNumber, quantity: u32, now_ms: u64) -> Next {
        let mut known = self.known();
        let memory = known.pool(tenant, pool);
        memory.next(stripes, quantity, now_ms, &mut || fastrand::u64(..))
    }

    /// How many units a pool may have; many as long as nothing is known.
    pub fn room(&self, tenant: &TenantId, pool: &PoolId, now_ms: u64) -> u64 {
        match self.known().pool(tenant, pool).room(now_ms) {
            Room::Unknown => u64::MAX,
            Room::AtMost(available) => available,
        }
    }

    /// Whether a pool had less than `quantity` when all of it was read last.
    pub fn was_short_of(&self, tenant: &TenantId, pool: &PoolId, quantity: u32) -> bool {
        self.known().pool(tenant, pool).was_short_of(quantity)
    }

    /// These claims were granted.
    pub fn served<'a>(&self, tenant: &TenantId, claims: impl IntoIterator<Item = &'a Claim>, now_ms: u64) {
        let mut known = self.known();
        for Claim { stripe, quantity } in claims {
            known.pool(tenant, &stripe.pool).served(&[(stripe.number, *quantity)], now_ms);
        }
    }

    /// Tells the memory of a pool what was found.
    pub fn learn(&self, tenant: &TenantId, pool: &PoolId, learn: impl FnOnce(&mut PoolMemory)) {
        learn(self.known().pool(tenant, pool));
    }

    /// A product has no more than so many units until then, in all its pools together.
    pub fn sold_out(&self, tenant: &TenantId, product: &ProductId, available: u64, until_ms: u64) {
        let mut known = self.known();
        if known.sold_out.len() >= POOLS_MAX {
            known.sold_out.clear();
        }
        known.sold_out.insert((tenant.clone(), product.clone()), (available, until_ms));
    }

    /// The units of a product, if it is known to have few now.
    pub fn few(&self, tenant: &TenantId, product: &ProductId, now_ms: u64) -> Option<u64> {
        let known = self.known();
        let (available, until_ms) = known.sold_out.get(&(tenant.clone(), product.clone()))?;
        (now_ms < *until_ms).then_some(*available)
    }

    /// Whether the pressure on a pool is to be noted: not when this environment did so just now.
    pub fn may_press(&self, tenant: &TenantId, pool: &PoolId, now_ms: u64) -> bool {
        let mut known = self.known();
        if known.pressed.len() >= POOLS_MAX {
            known.pressed.clear();
        }
        let last_ms = known.pressed.entry((tenant.clone(), pool.clone())).or_default();
        let may = now_ms >= last_ms.saturating_add(PRESSED_MS);
        if may {
            *last_ms = now_ms;
        }
        may
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What a panic may have left half-written is a memory, which may be wrong anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn pool(&mut self, tenant: &TenantId, pool: &PoolId) -> &mut PoolMemory {
        if self.pools.len() >= POOLS_MAX {
            self.pools.clear();
        }
        self.pools.entry((tenant.clone(), pool.clone())).or_default()
    }
}
