//! How long things take: the distributions that the model draws from, all in µs.

use rand::Rng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Exp1};

/// The function's own work on an order: 1 ms, and exponentially distributed more, 1 ms on average.
pub fn handling_us(random: &mut StdRng) -> u64 {
    1_000 + exponential_us(1_000.0, random)
}

/// One way between the function and the table: 0.5 ms, and exponentially distributed more, 0.5 ms on average.
pub fn way_us(random: &mut StdRng) -> u64 {
    500 + exponential_us(500.0, random)
}

/// How long a transaction holds its stripes: evenly 10 to 25 ms.
pub fn held_us(random: &mut StdRng) -> u64 {
    random.random_range(10_000..=25_000)
}

/// How long a transaction takes to be cancelled, as it fails while it is prepared: evenly 4 to 10 ms.
pub fn cancelled_us(random: &mut StdRng) -> u64 {
    random.random_range(4_000..=10_000)
}

/// A write without a transaction: evenly 3 to 6 ms.
pub fn written_us(random: &mut StdRng) -> u64 {
    random.random_range(3_000..=6_000)
}

/// A read of up to a hundred items: evenly 2 to 6 ms.
pub fn read_us(random: &mut StdRng) -> u64 {
    random.random_range(2_000..=6_000)
}

/// The time from one order to the next when they come independently of each other (a Poisson process).
pub fn between_orders_us(orders_a_second: f64, random: &mut StdRng) -> u64 {
    exponential_us(1e6 / orders_a_second, random)
}

/// How long an environment is busy with an order that meets nobody, on average.
pub const UNDISTURBED_US: f64 = 2_000.0 + 2.0 * 1_000.0 + 17_500.0;

fn exponential_us(mean: f64, random: &mut StdRng) -> u64 {
    let drawn: f64 = Exp1.sample(random);
    (drawn * mean) as u64
}
