//! Keys of exports.

use super::{Key, instant};
use holdfast_domain::ids::{ExportId, TenantId};
use jiff::Timestamp;

/// An export.
pub fn export(tenant: &TenantId, id: ExportId) -> Key {
    Key::new(format!("{tenant}#export#{id}"), "export")
}

/// The tenant and the id in the partition key of an export.
pub(crate) fn parse_export_pk(pk: &str) -> Option<(TenantId, ExportId)> {
    let (tenant, rest) = pk.split_once('#')?;
    let id = rest.strip_prefix("export#")?;
    Some((TenantId::parse(tenant).ok()?, ExportId::parse(id).ok()?))
}

/// The index partition of a tenant's exports.
pub fn exports(tenant: &TenantId) -> String {
    format!("{tenant}#exports")
}

/// The index partition of the exports of all tenants that are not over.
pub const OPEN_EXPORTS: &str = "exports";

/// The place of an export among others in time.
pub fn export_position(requested_at: Timestamp, id: ExportId) -> String {
    format!("{}#{id}", instant(requested_at))
}
