//! What placed orders cost at the database, from the log lines of the function that placed them.

use anyhow::Context;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What a number of placed orders cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spending {
    /// The orders whose log line was found.
    pub orders: u64,
    /// Write capacity units.
    pub wcu: f64,
    /// Calls of the database.
    pub calls: u64,
}

/// What all placed orders cost, and those of one line among them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Costs {
    /// All of them.
    pub all: Spending,
    /// Those of one line.
    pub one_line: Spending,
}

#[derive(Deserialize)]
struct RequestLine {
    message: String,
    correlation_id: String,
    wcu: f64,
    db_calls: u64,
}

impl Spending {
    fn add(&mut self, line: &RequestLine) {
        self.orders += 1;
        self.wcu += line.wcu;
        self.calls += line.db_calls;
    }

    /// Write capacity units an order; none without orders.
    pub fn wcu_per_order(&self) -> Option<f64> {
        (self.orders > 0).then(|| self.wcu / self.orders as f64)
    }

    /// Calls an order; none without orders.
    pub fn calls_per_order(&self) -> Option<f64> {
        (self.orders > 0).then(|| self.calls as f64 / self.orders as f64)
    }
}

impl Costs {
    /// Reads every log in `folder` for the requests in `placing`, which tells the lines of each one's order.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn read(folder: &Path, placing: &HashMap<String, usize>) -> anyhow::Result<Self> {
        let mut costs = Self::default();
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_file() {
                let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
                costs.add_lines(BufReader::new(file), placing)?;
            }
        }
        Ok(costs)
    }

    /// Logs hold other lines too, also of other programs and in other encodings.
    fn add_lines(&mut self, mut log: impl BufRead, placing: &HashMap<String, usize>) -> std::io::Result<()> {
        let mut line = Vec::new();
        while log.read_until(b'\n', &mut line)? > 0 {
            let json = line.iter().position(|byte| *byte == b'{').map(|start| &line[start..]);
            let request = json.and_then(|json| serde_json::from_slice::<RequestLine>(json).ok());
            let request = request.filter(|request| request.message == "request");
            if let Some((request, lines)) = request.and_then(|it| placing.get(&it.correlation_id).map(|n| (it, *n))) {
                self.all.add(&request);
                if lines == 1 {
                    self.one_line.add(&request);
                }
            }
            line.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_placed_an_order_count() {
        let log = br#"   Compiling orders v0.1.0
{"level":"INFO","message":"request","correlation_id":"a","wcu":6.0,"db_calls":1,"status":201}
12:00 {"message":"request","correlation_id":"b","wcu":10.0,"db_calls":3}
{"message":"request","correlation_id":"other","wcu":99.0,"db_calls":9}
{"message":"something else","correlation_id":"a","wcu":99.0,"db_calls":9}
{"message":"request","correlation_id":"a"}
"#;
        let mut costs = Costs::default();
        let placing = HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        costs.add_lines(&log[..], &placing).unwrap();
        assert_eq!(costs.all, Spending { orders: 2, wcu: 16.0, calls: 4 });
        assert_eq!(costs.one_line, Spending { orders: 1, wcu: 6.0, calls: 1 });
        assert_eq!((costs.all.wcu_per_order(), costs.all.calls_per_order()), (Some(8.0), Some(2.0)));
        assert_eq!(Spending::default().wcu_per_order(), None);
    }
}
