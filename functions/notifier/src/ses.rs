//! Amazon SES, API version 2 (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html).

use crate::mail::{Notifier, NotifyError};
use async_trait::async_trait;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::{Builder, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sesv2::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast_domain::mail::Mail;
use holdfast_runtime::outside::{Dependency, Settings, Unsettled};
use std::time::Duration;

/// How long a mail may take: less than a message has.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// How many bytes of a name one encoded word holds: with its frame it has at most 75 characters (RFC 2047 §2).
const WORD_BYTES_MAX: usize = 45;

/// Mails by Amazon SES. The service knows no idempotency keys, so that nothing is repeated here: the message that asks for the
/// mail comes again.
pub struct Ses {
    client: Client,
    dependency: Dependency,
}

impl Ses {
    /// By a configuration, without the SDK's own retries and time-outs.
    pub fn new(config: Builder) -> Self {
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(TimeoutConfig::disabled());
        let patience = CALL_TIMEOUT + Duration::from_secs(1);
        let settings = Settings { call_timeout: CALL_TIMEOUT, patience, retries_max: 0, ..Settings::default() };
        Self { client: Client::from_conf(config.build()), dependency: Dependency::new("mail-service", settings) }
    }
}

#[async_trait]
impl Notifier for Ses {
    async fn notify(&self, mail: &Mail) -> Result<(), NotifyError> {
        let content = content(mail).map_err(|error| NotifyError::Refused(error.to_string()))?;
        let request = self
            .client
            .send_email()
            .from_email_address(mailbox(&mail.sender_name, mail.sender.as_str()))
            .destination(Destination::builder().to_addresses(mail.to.as_str()).build())
            .content(content);
        let sent = self.dependency.call(|| async {
            match request.clone().send().await {
                Ok(_) => Ok(Ok(())),
                // The service's own words may name the recipient, so that only the code is told.
                Err(error) => match error.code() {
                    Some(code @ ("MessageRejected" | "BadRequestException" | "MailFromDomainNotVerifiedException")) => {
                        Ok(Err(code.to_owned()))
                    }
                    Some(code @ ("TooManyRequestsException" | "LimitExceededException")) => Err(Unsettled::later(code)),
                    Some(code) => Err(Unsettled::failed(code)),
                    None => Err(Unsettled::failed(DisplayErrorContext(&error).to_string())),
                },
            }
        });
        match sent.await {
            Ok(answer) => answer.map_err(NotifyError::Refused),
            Err(error) => Err(NotifyError::Unavailable(error.to_string())),
        }
    }
}

fn content(mail: &Mail) -> Result<EmailContent, BuildError> {
    let text = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().text(text(&mail.text)?).build();
    let message = Message::builder().subject(text(&mail.subject)?).body(body).build();
    Ok(EmailContent::builder().simple(message).build())
}

/// A name and an address as one mailbox (RFC 5322 §3.4): the name quoted if it is ASCII, otherwise in encoded words, which SES
/// asks for.
fn mailbox(name: &str, address: &str) -> String {
    if name.is_ascii() {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("\"{quoted}\" <{address}>");
    }
    let mut words = vec![String::new()];
    for character in name.chars() {
        let word = words.last_mut().expect("there is a first word");
        match word.len() + character.len_utf8() > WORD_BYTES_MAX {
            true => words.push(character.to_string()),
            false => word.push(character),
        }
    }
    let encoded: Vec<_> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    format!("{} <{address}>", encoded.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_1_a_shops_name_cannot_become_another_address() {
        assert_eq!(mailbox("The Mug Shop", "a@b.example"), "\"The Mug Shop\" <a@b.example>");
        assert_eq!(
            mailbox(r#"x" <eve@x.example>, "y\"#, "a@b.example"),
            r#""x\" <eve@x.example>, \"y\\" <a@b.example>"#
        );
        assert_eq!(mailbox("Zoë", "a@b.example"), "=?UTF-8?B?Wm/Dqw==?= <a@b.example>");
        let long = mailbox(&"ß".repeat(60), "a@b.example");
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
    }
}
