//! A payment provider and a carrier that do whatever they are asked for, at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use async_trait::async_trait;
use holdfast_domain::ids::{OrderId, TenantId};
use holdfast_domain::order::Booking;
use holdfast_domain::payment::{Capture, PaymentOutcome, PaymentReference};
use holdfast_store::{Meter, Spent, keys};
use order_worker::{
    Authorisation, BookShipment, CaptureOutcome, Carrier, CarrierError, PaymentError, PaymentGateway, RefundOutcome,
    RefundRequest, Standing, VoidOutcome, VoidRequest,
};
use serde_json::json;

use crate::engines::aws::JsonService;

/// A look at the table past the functions, which is not counted.
#[derive(Clone)]
pub struct Table {
    /// The engine.
    pub service: JsonService,
    /// Its table.
    pub name: String,
}

impl Table {
    /// The size of an order's item in bytes, as DynamoDB counts it.
    ///
    /// # Errors
    /// When there is no such order.
    pub async fn order_size(&self, tenant: &TenantId, id: OrderId) -> anyhow::Result<usize> {
        let key = keys::order(tenant, id);
        let key = json!({"pk": {"S": key.pk}, "sk": {"S": key.sk}});
        let request = json!({"TableName": self.name, "Key": key, "ConsistentRead": true});
        let mut answer = self.service.call("GetItem", &request).await?;
        let item: dynoxide::Item =
            serde_json::from_value(answer["Item"].take()).context("the order is in the table")?;
        Ok(dynoxide::types::item_size(&item))
    }
}

/// What had been done when the provider was asked to set money aside: the payment was started.
#[derive(Clone, Copy)]
pub struct Started {
    /// When it was asked.
    pub asked: Instant,
    /// When it answered.
    pub answered: Instant,
    /// What the worker had spent.
    pub spent: Spent,
    /// The size of the order.
    pub item_bytes: usize,
}

/// A payment provider that notes when it is asked for an authorisation.
pub struct Provider {
    table: Table,
    meter: Arc<Meter>,
    started: Mutex<Option<Started>>,
}

impl Provider {
    /// A provider for a worker whose store counts into `meter`.
    pub fn new(table: Table, meter: Arc<Meter>) -> Self {
        Self { table, meter, started: Mutex::default() }
    }

    /// What was noted of the last authorisation, once.
    pub fn take_started(&self) -> Option<Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl PaymentGateway for Provider {
    async fn authorise(&self, request: &Authorisation) -> Result<PaymentOutcome, PaymentError> {
        let (asked, spent) = (Instant::now(), self.meter.spent());
        let size = self.table.order_size(&request.tenant, request.order).await;
        let item_bytes = size.map_err(|error| PaymentError::NoOutcome(error.to_string()))?;
        let started = Started { asked, answered: Instant::now(), spent, item_bytes };
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        // As long as Stripe's.
        Ok(PaymentOutcome::Authorised(PaymentReference("pi_3MtwBwLkdIwHu7ix28a3tqPa".to_owned())))
    }

    async fn void(&self, _: &VoidRequest) -> Result<VoidOutcome, PaymentError> {
        Ok(VoidOutcome::Voided)
    }

    async fn standing(&self, _: &PaymentReference) -> Result<Standing, PaymentError> {
        Ok(Standing::Holds)
    }

    async fn capture(&self, _: OrderId, _: &Capture) -> Result<CaptureOutcome, PaymentError> {
        Ok(CaptureOutcome::Captured)
    }

    async fn refund(&self, _: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        Ok(RefundOutcome::Refunded("re_3MtwBwLkdIwHu7ix2m1lmAEf".to_owned()))
    }
}

/// A carrier whose names are as long as those of real ones.
pub struct Courier;

#[async_trait]
impl Carrier for Courier {
    async fn book(&self, _: &BookShipment) -> Result<Booking, CarrierError> {
        Ok(Booking { reference: "shp_5kX2mV9qLr8TzN4w".to_owned(), tracking: "00340434161094042557".to_owned() })
    }

    async fn cancel(&self, _: &str) -> Result<(), CarrierError> {
        Ok(())
    }
}
