//! The API's description, put together from the functions' own.

use std::process::ExitCode;

use anyhow::Context as _;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi};

use crate::workspace;

/// Where the document is kept, from the root of the workspace.
pub const PATH: &str = "infra/openapi.json";

/// The document, as the code has it (OpenAPI 3.1).
///
/// # Errors
/// When it cannot be written as JSON.
pub fn document() -> anyhow::Result<String> {
    let licence = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Holdfast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A serverless order back end that holds stock, fast. Amounts are integer minor units. Failures are RFC 9457 \
             problems. The tenant and the customer come from the token.",
        ))
        .license(Some(licence));
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = ComponentsBuilder::new().security_scheme("jwt", SecurityScheme::Http(token)).build();
    let mut document = OpenApi::new(info.build(), utoipa::openapi::Paths::new());
    document.components = Some(components);
    for described in [
        orders::Description::openapi(),
        inventory::Description::openapi(),
        catalog::Description::openapi(),
        payment_webhooks::Description::openapi(),
        webhooks::Description::openapi(),
        exports::Description::openapi(),
        ops::Description::openapi(),
    ] {
        document.merge(described);
    }
    Ok(document.to_pretty_json()? + "\n")
}

/// Writes the document to its place.
///
/// # Errors
/// When it cannot be written.
pub fn write() -> anyhow::Result<ExitCode> {
    let path = workspace::root().join(PATH);
    std::fs::write(&path, document()?).with_context(|| format!("{PATH} could not be written"))?;
    crate::cli::print(&format!("{PATH} is written"))?;
    Ok(ExitCode::SUCCESS)
}
