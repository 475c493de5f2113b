//! The lines of a part, packed while they are written.

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use holdfast_domain::export::Compression;
use holdfast_domain::order::Order;
use holdfast_runtime::view::OrderView;
use std::io::{self, Write};

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

/// What an object may be longer than its limit: the longest order, and what the packing holds back.
const MARGIN: usize = 256 << 10;

/// A part while it is written. It keeps what goes into its object, and nothing else.
pub(crate) struct Lines {
    sink: Sink,
    limits: PartLimits,
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
        Self { sink, limits, line_bytes: 0, orders: 0 }
    }

    /// Adds an order: what `GET /orders/{order_id}` shows of it.
    pub(crate) fn add(&mut self, order: &Order) {
        let written = serde_json::to_writer(&mut *self, &OrderView::from(order)).map_err(io::Error::from);
        written.and_then(|()| self.write_all(b"\n")).expect("a view is a JSON object, and memory takes it");
        self.orders += 1;
    }

    /// How many orders there are.
    pub(crate) fn orders(&self) -> u64 {
        self.orders
    }

    /// Whether it has enough.
    pub(crate) fn is_full(&self) -> bool {
        let object = match &self.sink {
            Sink::Gzip(encoder) => encoder.get_ref().len(),
            Sink::Plain(lines) => lines.len(),
        };
        let Self { limits, line_bytes, orders, .. } = self;
        object >= limits.object_bytes || *line_bytes >= limits.line_bytes || *orders >= limits.orders
    }

    /// The object.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self.sink {
            Sink::Gzip(encoder) => encoder.finish().expect("memory takes what the packing held back"),
            Sink::Plain(lines) => lines,
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            Sink::Gzip(encoder) => encoder.write(bytes)?,
            Sink::Plain(lines) => lines.write(bytes)?,
        };
        self.line_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
