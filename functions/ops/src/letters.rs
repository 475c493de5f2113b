//! `GET /ops/dead-letters` and `GET /ops/dead-letters/{fingerprint}`

use crate::App;
use crate::view::{GroupView, GroupsView, LetterView, LettersView};
use axum::extract::{Path, State};
use holdfast_domain::ids::TenantId;
use holdfast_domain::routing::Queue;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Params, Problem, Right, Scope};
use holdfast_store::{DeadOf, Store};
use http::Uri;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many letters are counted.
const COUNTED_MAX: usize = 10_000;
/// How many causes are shown: an answer of a function has at most 6 MB.
const GROUPS_MAX: usize = 1_000;
/// How many letters one read takes: at 1 KB each far below the megabyte of a page.
const PAGE: i32 = 500;
/// The most letters of an answer: each may have 64 KB, and an answer of a function at most 6 MB.
const LIMIT_MAX: i32 = 50;

/// The longest fingerprint or id, in bytes: three words of at most 64, and a hash.
pub const NAME_BYTES_MAX: usize = 256;

/// Whose letters a caller asks for.
pub enum Owner {
    /// One tenant's: the caller's own, or one that an operator names.
    Tenant(TenantId),
    /// Those that do not say whose they are. For operators alone.
    Nobody,
    /// Everybody's. For operators alone.
    All,
}

impl Owner {
    /// Who it is by a caller's rights: staff see their own tenant's, whatever they ask for.
    ///
    /// # Errors
    /// 403 for a caller who is neither, and for staff who name another tenant.
    pub fn of(scope: &Scope, asked: Option<&str>) -> Result<Self, Problem> {
        if scope.caller.may(Right::Operator) {
            return match asked {
                None => Ok(Self::All),
                Some("-") => Ok(Self::Nobody),
                Some(tenant) => {
                    let tenant = TenantId::parse(tenant).map_err(|invalid| Problem::invalid(vec![invalid]))?;
                    Ok(Self::Tenant(tenant))
                }
            };
        }
        scope.caller.require(Right::Staff)?;
        let own = &scope.caller.tenant;
        match asked {
            Some(tenant) if tenant != own.as_str() => {
                let correlation_id = &scope.trace.correlation_id;
                tracing::warn!(count = 1, tenant = own.as_str(), correlation_id, "cross_tenant_refused");
                Err(Problem::forbidden("Only operators see the dead letters of other tenants."))
            }
            _ => Ok(Self::Tenant(own.clone())),
        }
    }

    /// As the store takes it.
    pub fn dead_of(&self) -> DeadOf<'_> {
        match self {
            Self::Tenant(tenant) => DeadOf::Tenant(tenant),
            Self::Nobody => DeadOf::Nobody,
            Self::All => DeadOf::All,
        }
    }

    /// The one tenant, if it is one.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Nobody | Self::All => None,
        }
    }
}

impl App {
    /// The store, counting what the request spends.
    pub(crate) fn metered(&self, scope: &Scope) -> Store {
        self.store.metered(Arc::clone(&scope.meter))
    }
}

/// Counts dead letters by tenant and cause: who failed, how, and at what. The most frequent first.
///
/// Staff see their own shop's. Operators (scope `operator`) see all, or those of the tenant that they name; `-` names those
/// that do not say whose they are.
#[utoipa::path(get, path = "/ops/dead-letters", operation_id = "countDeadLetters", tag = "operations", security(("jwt" = ["staff"]), ("jwt" = ["operator"])),
    params(
        ("queue" = Option<String>, Query, description = "Only those of `orders`, `fulfilment`, `notifications`, `exports` or the `stream`"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's, for operators; `-` for those of nobody"),
    ),
    responses(
        (status = 200, description = "The causes", body = GroupsView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 403, description = "forbidden", body = ProblemSchema),
    ))]
pub async fn groups(State(app): State<Arc<App>>, scope: Scope, uri: Uri) -> Result<axum::Json<GroupsView>, Problem> {
    let mut params = Params::of(&uri, &["queue", "tenant"])?;
    let queue = params.read("queue", queue);
    let tenant = params.read("tenant", |tenant| Ok(tenant.to_owned()));
    params.finish()?;
    let owner = Owner::of(&scope, tenant.as_deref())?;
    let store = app.metered(&scope);
    let mut groups = BTreeMap::<(Option<TenantId>, String), GroupView>::new();
    let (mut looked_at, mut counted, mut after) = (0, 0, None::<String>);
    let now = app.clock.now();
    loop {
        let page = store.dead_letters(owner.dead_of(), None, PAGE, after.as_deref()).await?;
        looked_at += page.letters.len();
        for letter in page.letters.iter().filter(|letter| queue.is_none_or(|queue| letter.queue == queue)) {
            counted += 1;
            let cause = (letter.tenant.clone(), letter.fingerprint());
            groups
                .entry(cause)
                .and_modify(|group| group.add(letter, now))
                .or_insert_with(|| GroupView::of(letter, now));
        }
        after = page.next;
        if after.is_none() || looked_at >= COUNTED_MAX {
            break;
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.letters()));
    let complete = after.is_none() && groups.len() <= GROUPS_MAX;
    groups.truncate(GROUPS_MAX);
    Ok(axum::Json(GroupsView { groups, letters: counted, complete }))
}

/// Lists the dead letters of one cause.
#[utoipa::path(get, path = "/ops/dead-letters/{fingerprint}", operation_id = "listDeadLetters", tag = "operations", security(("jwt" = ["staff"]), ("jwt" = ["operator"])),
    params(
        ("fingerprint" = String, Path, description = "The cause"),
        ("tenant" = Option<String>, Query, description = "Whose, for operators: their own without it, `-` for those of nobody"),
        ("limit" = Option<u32>, Query, description = "1 to 50 letters a page; 20 without it"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page; empty if there are none", body = LettersView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 403, description = "forbidden", body = ProblemSchema),
    ))]
pub async fn list(
    State(app): State<Arc<App>>,
    scope: Scope,
    Path(fingerprint): Path<String>,
    uri: Uri,
) -> Result<axum::Json<LettersView>, Problem> {
    let mut params = Params::of(&uri, &["tenant", "limit", "cursor"])?;
    let tenant = params.read("tenant", |tenant| Ok(tenant.to_owned()));
    let limit = params.read("limit", |text| {
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| format!("must be 1 to {LIMIT_MAX}"))
    });
    let own = scope.caller.tenant.as_str();
    let name = json!(["dead-letters", own, tenant, fingerprint]).to_string();
    let after = params.read("cursor", |text| app.cursor_key.open(&name, text));
    params.finish()?;
    if fingerprint.len() > NAME_BYTES_MAX {
        return Err(Problem::not_found("fingerprint"));
    }
    let owner = one_owner(&scope, tenant.as_deref())?;
    let store = app.metered(&scope);
    let page = store.dead_letters(owner.dead_of(), Some(&fingerprint), limit.unwrap_or(20), after.as_deref()).await?;
    let now = app.clock.now();
    Ok(axum::Json(LettersView {
        letters: page.letters.iter().map(|letter| LetterView::at(letter, now)).collect(),
        next_cursor: page.next.map(|sk| app.cursor_key.seal(&name, &sk)),
    }))
}

/// The owner of letters that are chosen one by one or by cause: one tenant, or nobody. An operator's own tenant counts
/// unless another is named.
///
/// # Errors
/// As [`Owner::of`].
pub fn one_owner(scope: &Scope, asked: Option<&str>) -> Result<Owner, Problem> {
    Ok(match Owner::of(scope, asked)? {
        Owner::All => Owner::Tenant(scope.caller.tenant.clone()),
        one => one,
    })
}

fn queue(text: &str) -> Result<Option<Queue>, String> {
    if text == "stream" {
        return Ok(None);
    }
    let known = || Queue::ALL.map(Queue::name).join(", ");
    Queue::named(text).map(Some).ok_or_else(|| format!("must be one of {}, stream", known()))
}
