//! The lines of a part, packed while they are written.

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use holdfast_domain::export::Compression;
use holdfast_domain::order::Order;
use holdfast_runtime::view::OrderView;
use std::io::Write;

/// When a part is full: with the order that takes it to one of these.
#[derive(Debug, Clone, Copy)]
pub struct PartLimits {
    /// Bytes of its object, which is in memory until it is stored.
    pub object_bytes: usize,
    /// Bytes of its lines before they are packed.
    pub line_bytes: u64,
    /// Orders.
    pub orders: u64,
}

impl Default for PartLimits {
    fn default() -> Self {
        Self { object_bytes: 4 << 20, line_bytes: 32 << 20, orders: 50_000 }
    }
}

/// What an object may be longer than its limit: the longest order, what waits, and what the packing holds back.
const MARGIN: usize = 512 << 10;

/// How much is packed at a time. The encoder clears its buffer of 32 KB at each call, which took two thirds of an export's
/// time when it was called for every field of every line.
const PACKED_AT_ONCE: usize = 64 << 10;

/// A part while it is written. It keeps what goes into its object, and little else.
pub(crate) struct Lines {
    sink: Sink,
    limits: PartLimits,
    /// Lines that are not packed yet.
    waiting: Vec<u8>,
    line_bytes: u64,
    orders: u64,
}

enum Sink {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Plain(Vec<u8>),
}

impl Lines {
    pub(crate) fn new(compression: Compression, limits: PartLimits) -> Self {
        let object = Vec::with_capacity(limits.object_bytes + MARGIN);
        let sink = match compression {
            // The lowest level takes a third of the usual one's time, and what repeats in every line still goes.
            Compression::Gzip => Sink::Gzip(Box::new(GzEncoder::new(object, Level::fast()))),
            Compression::None => Sink::Plain(object),
        };
        Self { sink, limits, waiting: Vec::with_capacity(2 * PACKED_AT_ONCE), line_bytes: 0, orders: 0 }
    }

    /// Adds an order: what `GET /orders/{order_id}` shows of it.
    pub(crate) fn add(&mut self, order: &Order) {
        let before = self.waiting.len();
        serde_json::to_writer(&mut self.waiting, &OrderView::from(order)).expect("a view is a JSON object");
        self.waiting.push(b'\n');
        self.line_bytes += (self.waiting.len() - before) as u64;
        self.orders += 1;
        if self.waiting.len() >= PACKED_AT_ONCE {
            self.pack();
        }
    }

    /// Hands what waits to the encoder.
    fn pack(&mut self) {
        match &mut self.sink {
            Sink::Gzip(encoder) => encoder.write_all(&self.waiting).expect("memory takes what is packed"),
            Sink::Plain(lines) => lines.extend_from_slice(&self.waiting),
        }
        self.waiting.clear();
    }

    /// How many orders there are.
    pub(crate) fn orders(&self) -> u64 {
        self.orders
    }

    /// Whether it has enough.
    pub(crate) fn is_full(&self) -> bool {
        let packed = match &self.sink {
            Sink::Gzip(encoder) => encoder.get_ref().len(),
            Sink::Plain(lines) => lines.len(),
        };
        // What waits gets no longer by packing.
        let object = packed + self.waiting.len();
        let Self { limits, line_bytes, orders, .. } = self;
        object >= limits.object_bytes || *line_bytes >= limits.line_bytes || *orders >= limits.orders
    }

    /// The object.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.pack();
        match self.sink {
            Sink::Gzip(encoder) => encoder.finish().expect("memory takes what the packing held back"),
            Sink::Plain(lines) => lines,
        }
    }
}
