//! Mails to customers: which changes are worth one, and what it says.
//!
//! Plain text only: it needs no escaping, and nothing in it can be forged by a name of a product.

use crate::contact::Email;
use crate::invalid::{Invalid, Problems};
use crate::money::Money;
use crate::order::{Order, OrderState};
use crate::text;

/// The most characters of a shop's name.
pub const SHOP_NAME_MAX: usize = 100;
/// The most lines that a confirmation lists.
const LINES_MAX: usize = 50;

/// How the mails of a tenant are sent. A tenant without these sends none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Who they are from: an address that the mail service knows to be the shop's.
    pub sender: Email,
    /// What the shop is called.
    pub shop_name: String,
}

impl MailSettings {
    /// Reads settings.
    ///
    /// # Errors
    /// Names each field that is wrong.
    pub fn parse(sender: String, shop_name: String) -> Result<Self, Vec<Invalid>> {
        let mut problems = Problems::new();
        let sender = Email::parse(sender).map_err(|invalid| Invalid::new("sender", invalid.problem));
        let sender = problems.keep("", sender);
        let shop_name = problems.keep("", text::checked("shop_name", SHOP_NAME_MAX, shop_name));
        problems.finish(sender.zip(shop_name).map(|(sender, shop_name)| Self { sender, shop_name }))
    }
}

/// A change that a customer gets a mail about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// The order is confirmed.
    Placed,
    /// It is on its way.
    Shipped,
    /// Money went back.
    Refunded,
    /// It was called off.
    Cancelled,
}

/// A mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who gets it.
    pub to: Email,
    /// Who it is from.
    pub sender: Email,
    /// What the sender is called.
    pub sender_name: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl MailKind {
    /// The mail about a change, by the name of its kind; none for a change that is worth no mail.
    pub fn of_change(kind: &str) -> Option<Self> {
        match kind {
            "placed" => Some(Self::Placed),
            "shipped" => Some(Self::Shipped),
            "payment_refunded" => Some(Self::Refunded),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// The mail about an order as it is now; none if its customer left no address, or if it would not be true any more:
    /// events may come late.
    pub fn compose(self, order: &Order, settings: &MailSettings) -> Option<Mail> {
        use OrderState as S;
        let ended = matches!(order.state, S::Cancelled | S::Expired | S::PaymentFailed);
        if self == Self::Placed && ended {
            return None;
        }
        let (shop, id, total) = (&settings.shop_name, order.id, decimal(order.total));
        let (subject, said) = match self {
            Self::Placed => (
                format!("Your order at {shop}"),
                format!("thank you for your order {id}.\n\n{}Total: {total}\n", lines(order)),
            ),
            Self::Shipped => (
                format!("Your order at {shop} is on its way"),
                format!("your order {id} has left our warehouse and is on its way to you.\n"),
            ),
            Self::Refunded => (
                format!("A refund for your order at {shop}"),
                format!("we have sent money back to you for your order {id}. It may take some days to arrive.\n"),
            ),
            Self::Cancelled => (
                format!("Your order at {shop} was cancelled"),
                format!("your order {id} was cancelled. What was authorised for it is released.\n"),
            ),
        };
        Some(Mail {
            to: order.contact.clone()?,
            sender: settings.sender.clone(),
            sender_name: shop.clone(),
            subject,
            text: format!("Hello,\n\n{said}\n{shop}\n"),
        })
    }
}

/// What was ordered, a line each. Those that are kept apart from the order are not listed.
fn lines(order: &Order) -> String {
    let mut text = String::new();
    for line in order.lines.iter().take(LINES_MAX) {
        text += &format!("{} x {}: {}\n", line.quantity.units(), line.product, decimal(line.total));
    }
    if order.lines.len() > LINES_MAX {
        text += &format!("and {} more\n", order.lines.len() - LINES_MAX);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// An amount as people write it, such as `19.99 EUR`.
fn decimal(money: Money) -> String {
    let digits = money.currency().exponent() as usize;
    let amount = format!("{:0>width$}", money.amount(), width = digits + 1);
    let (whole, part) = amount.split_at(amount.len() - digits);
    match part {
        "" => format!("{whole} {}", money.currency().code()),
        part => format!("{whole}.{part} {}", money.currency().code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn note_1_amounts_have_the_digits_of_their_currency() {
        for (amount, code, text) in [
            (1999, "EUR", "19.99 EUR"),
            (5, "EUR", "0.05 EUR"),
            (0, "EUR", "0.00 EUR"),
            (1999, "JPY", "1999 JPY"),
            (1999, "KWD", "1.999 KWD"),
        ] {
            let money = Money::new(amount, Currency::parse(code).unwrap()).unwrap();
            assert_eq!(decimal(money), text);
        }
    }

    #[test]
    fn note_1_mail_settings_name_what_is_wrong() {
        let wrong = MailSettings::parse("shop".to_owned(), "a\r\nBcc: x".to_owned()).unwrap_err();
        let fields: Vec<_> = wrong.iter().map(|invalid| invalid.field.as_str()).collect();
        assert_eq!(fields, ["sender", "shop_name"]);
    }
}
