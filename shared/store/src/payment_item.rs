//! The payment of an order, as an attribute of its item.

use holdfast_domain::payment::{CapturePolicy, DeclineCode, Payment, PaymentMethod, PaymentReference, PaymentStatus};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct PaymentItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<PaymentMethod>,
    status: PaymentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<PaymentReference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decline: Option<DeclineCode>,
    #[serde(default, skip_serializing_if = "is_usual")]
    capture: CapturePolicy,
}

fn is_usual(policy: &CapturePolicy) -> bool {
    *policy == CapturePolicy::default()
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentName {
    None,
    Pending,
    Started,
    Authorised,
    Declined,
    Voided,
    CaptureFailed,
}

impl From<&Payment> for PaymentItem {
    fn from(payment: &Payment) -> Self {
        use PaymentStatus as P;
        let (status, attempt, reference, decline) = match &payment.status {
            P::None => (PaymentName::None, None, None, None),
            P::Pending => (PaymentName::Pending, None, None, None),
            P::Started { attempt } => (PaymentName::Started, Some(*attempt), None, None),
            P::Authorised { attempt, reference } => {
                (PaymentName::Authorised, Some(*attempt), Some(reference.clone()), None)
            }
            P::Declined { attempt, code } => (PaymentName::Declined, Some(*attempt), None, Some(code.clone())),
            P::Voided { attempt, reference } => (PaymentName::Voided, Some(*attempt), Some(reference.clone()), None),
            P::CaptureFailed { attempt, reference, code } => {
                (PaymentName::CaptureFailed, Some(*attempt), Some(reference.clone()), Some(code.clone()))
            }
        };
        let (method, capture) = (payment.method.clone(), payment.capture);
        Self { method, status, attempt, reference, decline, capture }
    }
}

impl PaymentItem {
    pub(crate) fn payment(self) -> Result<Payment, String> {
        use PaymentStatus as P;
        let status = match (self.status, self.attempt, self.reference, self.decline) {
            (PaymentName::None, ..) => P::None,
            (PaymentName::Pending, ..) => P::Pending,
            (PaymentName::Started, Some(attempt), ..) => P::Started { attempt },
            (PaymentName::Authorised, Some(attempt), Some(reference), _) => P::Authorised { attempt, reference },
            (PaymentName::Declined, Some(attempt), _, Some(code)) => P::Declined { attempt, code },
            (PaymentName::Voided, Some(attempt), Some(reference), _) => P::Voided { attempt, reference },
            (PaymentName::CaptureFailed, Some(attempt), Some(reference), Some(code)) => {
                P::CaptureFailed { attempt, reference, code }
            }
            _ => return Err("the payment lacks an attempt, a reference or a reason".to_owned()),
        };
        Ok(Payment { method: self.method, status, capture: self.capture })
    }
}
