//! `/notifications/mail`

use crate::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use holdfast_domain::mail::MailSettings;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Problem, Right, Scope};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How mails to customers are sent.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailSettings)]
pub struct MailBody {
    /// Who they are from. Amazon SES must have verified the address, or its domain, for this installation.
    #[schema(max_length = 254, example = "orders@shop.example")]
    sender: String,
    /// What the shop is called.
    #[schema(max_length = 100, example = "The Mug Shop")]
    shop_name: String,
}

/// Says how mails to customers are sent: 201 for the first time, then 200. From now on, customers who left an address get
/// mails when their order is placed, shipped, refunded or cancelled.
#[utoipa::path(put, path = "/notifications/mail", operation_id = "putMailSettings", tag = "notifications", security(("jwt" = ["staff"])),
    request_body = MailBody,
    responses(
        (status = 201, description = "Mails are sent from now on", body = MailBody),
        (status = 200, description = "Replaced", body = MailBody),
        (status = 400, description = "invalid-request", body = ProblemSchema),
    ))]
pub async fn put(State(app): State<Arc<App>>, scope: Scope, Json(body): Json<MailBody>) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let settings = MailSettings::parse(body.sender, body.shop_name).map_err(Problem::invalid)?;
    let is_new = app.metered(&scope).mail_settings_put(&scope.caller.tenant, &settings).await?;
    Ok(answer(if is_new { StatusCode::CREATED } else { StatusCode::OK }, settings))
}

/// Reads how mails to customers are sent.
#[utoipa::path(get, path = "/notifications/mail", operation_id = "readMailSettings", tag = "notifications", security(("jwt" = ["staff"])),
    responses(
        (status = 200, description = "As it is", body = MailBody),
        (status = 404, description = "not-found: none are sent", body = ProblemSchema),
    ))]
pub async fn read(State(app): State<Arc<App>>, scope: Scope) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    let settings = app.metered(&scope).mail_settings_read(&scope.caller.tenant).await?;
    settings.map(|settings| answer(StatusCode::OK, settings)).ok_or_else(|| Problem::not_found("mail setting"))
}

/// Ends mails to customers, now or before.
#[utoipa::path(delete, path = "/notifications/mail", operation_id = "deleteMailSettings", tag = "notifications", security(("jwt" = ["staff"])),
    responses((status = 204, description = "None are sent any more")))]
pub async fn remove(State(app): State<Arc<App>>, scope: Scope) -> Result<Response, Problem> {
    scope.caller.require(Right::Staff)?;
    app.metered(&scope).mail_settings_delete(&scope.caller.tenant).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn answer(status: StatusCode, settings: MailSettings) -> Response {
    let MailSettings { sender, shop_name } = settings;
    (status, axum::Json(MailBody { sender: sender.into(), shop_name })).into_response()
}
