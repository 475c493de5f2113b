//! More stripes or fewer, beside live claims.

use super::plan::{self, Stripe};
use crate::contention::{ATTEMPTS_MAX, back_off};
use crate::pools::actions::PoolActions;
use crate::transact::{Refused, cancelled, is_condition};
use crate::{StockHeader, Store, StoreError, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use holdfast_domain::ids::{ProductId, TenantId, WarehouseId};
use holdfast_domain::pool::{STRIPES_MAX, StripeNumber};

/// The most actions of a step beside the header's and the product's: a transaction takes 100.
const WIDTH_MAX: usize = 98;
/// The most transactions of one run, which at 15 ms each take 4 s: a function has to answer.
const STEPS_MAX: u32 = 256;

/// What came of reshaping a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reshaping {
    /// It has `to` stripes now.
    Reshaped {
        /// The stripes it had.
        from: StripeNumber,
        /// The stripes it has.
        to: StripeNumber,
    },
    /// The product does not lie in this warehouse.
    NoSuchWarehouse,
    /// Somebody else reshapes the pool, and was faster.
    Overtaken,
}

/// A run on its way.
struct Run<'a> {
    actions: PoolActions<'a>,
    /// The header as the next step must find it.
    header: StockHeader,
    to: StripeNumber,
    /// How many actions a step has. Many at once meet many claims, so it is halved when a step is refused and grows
    /// slowly while steps succeed (Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion
    /// avoidance", 1989).
    width: usize,
    steps: u32,
}

/// What came of one step.
enum Step {
    Done,
    /// Claims, a receipt or a price change came between: read again.
    Stale,
    /// Others are at the same items: wait.
    Busy,
    Overtaken,
}

impl Store {
    /// Splits or merges the stock of a product in a warehouse into `to` stripes (1 to [`STRIPES_MAX`]), while it is
    /// sold from. Repeating it after any failure goes on where it stopped, and does nothing once it is done.
    ///
    /// A split from 1 to 64 takes four calls and 132 write units; each step is one transaction, and one after another.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the pool is too busy or the work too much for one run: a repeat goes on.
    /// [`StoreError::Corrupt`] when a stripe exists that the header does not know. Otherwise as [`Store::order_place`].
    pub async fn pool_reshape(
        &self,
        tenant: &TenantId,
        product: &ProductId,
        warehouse: &WarehouseId,
        to: StripeNumber,
    ) -> Result<Reshaping, StoreError> {
        let Some(header) = self.stock_header(tenant, product, warehouse).await? else {
            return Ok(Reshaping::NoSuchWarehouse);
        };
        let (from, to) = (header.stripes, to.clamp(1, STRIPES_MAX));
        let actions = self.pool_actions(tenant, product, warehouse);
        let mut run = Run { actions, header, to, width: WIDTH_MAX, steps: 0 };
        let mut refused = 0;
        while run.header.stripes != to {
            let before = run.steps;
            let last = match run.header.stripes < to {
                true => self.split_round(&mut run, tenant, product).await?,
                false => self.merge_round(&mut run).await?,
            };
            match last {
                Step::Overtaken => return Ok(Reshaping::Overtaken),
                Step::Done => continue,
                Step::Stale | Step::Busy => {}
            }
            refused = if run.steps > before { 1 } else { refused + 1 };
            if refused == ATTEMPTS_MAX || run.steps >= STEPS_MAX {
                return Err(StoreError::Conflict);
            }
            back_off(refused).await;
        }
        Ok(Reshaping::Reshaped { from, to })
    }

    /// Splits by what the stripes have now, until that does not hold any more.
    async fn split_round(&self, run: &mut Run<'_>, tenant: &TenantId, id: &ProductId) -> Result<Step, StoreError> {
        let read = tokio::try_join!(run.actions.stripes(0..run.header.stripes), self.product_read(tenant, id));
        let (mut stripes, product) = read?;
        let Some(price_version) = product.map(|product| product.price_version) else {
            let key = keys::product(tenant, id).pk;
            return Err(StoreError::Corrupt { key, problem: "there is stock of it, but no such product".to_owned() });
        };
        while run.header.stripes < run.to {
            let split = plan::split(&stripes, run.header.stripes, run.to, run.width);
            let left = run.header.stripes + split.made.len() as StripeNumber;
            let mut items = vec![run.actions.reshape(&run.header, left), run.actions.price_check(price_version)];
            items.extend(split.made.iter().map(|units| run.actions.make(*units, price_version)));
            items.extend(split.taken.iter().map(|units| run.actions.take(*units)));
            match run.step(self, items, 2..2 + split.made.len(), left).await? {
                Step::Done => {}
                other => return Ok(other),
            }
            for (number, quantity) in split.taken {
                stripes.iter_mut().filter(|it| it.number == number).for_each(|it| it.available -= quantity);
            }
            let made = split.made.into_iter();
            stripes.extend(made.map(|(number, available)| Stripe { number, available, version: 1 }));
        }
        Ok(Step::Done)
    }

    /// Merges by what the stripes have now, until that does not hold any more.
    async fn merge_round(&self, run: &mut Run<'_>) -> Result<Step, StoreError> {
        let mut stripes = run.actions.stripes(0..run.header.stripes).await?;
        while run.header.stripes > run.to {
            let Some(merge) = plan::merge(&stripes, run.header.stripes, run.to, run.width) else {
                let key = run.header.warehouse.to_string();
                return Err(StoreError::Corrupt { key, problem: "none of the stripes that stay exists".to_owned() });
            };
            let mut items = vec![run.actions.reshape(&run.header, merge.left)];
            items.extend(merge.deleted.iter().map(|(number, version)| run.actions.end(*number, *version)));
            items.extend(merge.given.iter().map(|units| run.actions.give(*units)));
            match run.step(self, items, 0..0, merge.left).await? {
                Step::Done => {}
                other => return Ok(other),
            }
            stripes.retain(|stripe| stripe.number < merge.left);
            for (number, quantity) in merge.given {
                stripes.iter_mut().filter(|it| it.number == number).for_each(|it| it.available += quantity);
            }
        }
        Ok(Step::Done)
    }
}

impl Run<'_> {
    /// Sends a step, whose first action is the header's; `made` are the actions that make stripes, and `stripes` is how many
    /// there are afterwards.
    async fn step(
        &mut self,
        store: &Store,
        items: Vec<TransactWriteItem>,
        made: std::ops::Range<usize>,
        stripes: StripeNumber,
    ) -> Result<Step, StoreError> {
        if self.steps >= STEPS_MAX {
            return Ok(Step::Busy);
        }
        let reasons = match store.transact(items).await {
            Ok(()) => {
                self.steps += 1;
                self.width = (self.width + 2).min(WIDTH_MAX);
                self.header = StockHeader { stripes, shape: self.header.shape + 1, ..self.header.clone() };
                return Ok(Step::Done);
            }
            Err(Refused::Other(StoreError::Conflict | StoreError::Throttled)) => return Ok(self.narrower(Step::Busy)),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Cancelled(reasons)) => reasons,
        };
        if reasons.first().is_some_and(is_condition) {
            return Ok(Step::Overtaken);
        }
        if reasons.get(made).is_some_and(|reasons| reasons.iter().any(is_condition)) {
            let key = self.header.warehouse.to_string();
            return Err(StoreError::Corrupt {
                key,
                problem: "a stripe exists that the header does not know".to_owned(),
            });
        }
        match reasons.iter().any(is_condition) {
            true => Ok(self.narrower(Step::Stale)),
            false => match cancelled(&reasons) {
                StoreError::Conflict | StoreError::Throttled => Ok(self.narrower(Step::Busy)),
                error => Err(error),
            },
        }
    }

    fn narrower(&mut self, step: Step) -> Step {
        self.width = (self.width / 2).max(2);
        step
    }
}
