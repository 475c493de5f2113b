//! `POST /ops/dead-letters/replay` and `discard`, and what people did so far.

use crate::App;
use crate::acting::Action;
use crate::letters::{NAME_BYTES_MAX, Owner, one_owner};
use crate::view::{ActionView, ActionsView, DoneView};
use axum::extract::State;
use holdfast_domain::dead_letter::{DeadLetter, Replay};
use holdfast_domain::invalid::Invalid;
use holdfast_runtime::http::schemas::ProblemSchema;
use holdfast_runtime::http::{Json, Params, Problem, Scope};
use holdfast_store::Store;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// The most letters that one request does something to: each takes two calls, and a request has some seconds.
const LIMIT_MAX: u32 = 200;
/// Unless asked otherwise.
const LIMIT_DEFAULT: u32 = 100;
/// The most actions that are shown.
const ACTIONS_MAX: i32 = 100;

/// Which letters, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChooseDeadLetters)]
pub struct ChooseBody {
    /// Those of this cause.
    fingerprint: Option<String>,
    /// The one of this id.
    id: Option<String>,
    /// Whose: operators may name a tenant; `-` stands for those of nobody.
    tenant: Option<String>,
    /// At most so many of a cause: 1 to 200; 100 without it.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Of a replay: so many a second, 1 to 100; without it all at once.
    #[schema(minimum = 1, maximum = 100)]
    rate: Option<u32>,
    /// The `cursor` of the answer before, to go on behind what it was done to or refused for.
    cursor: Option<String>,
    /// Do nothing, and tell what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// What was chosen.
pub(crate) struct Choice {
    pub letters: Vec<DeadLetter>,
    /// Where the rest of the cause begins.
    pub cursor: Option<String>,
    /// The list that cursors are of.
    pub list: String,
    /// What was chosen, in words.
    pub words: String,
}

/// Sends dead letters to their queues again: by cause, or one by its id. A letter is taken away after it was sent, so that
/// none is lost; one that was sent and not taken away is sent again by the next replay, which consumers bear.
#[utoipa::path(post, path = "/ops/dead-letters/replay", operation_id = "replayDeadLetters", tag = "operations", security(("jwt" = ["staff"]), ("jwt" = ["operator"])), request_body = ChooseBody,
    responses(
        (status = 200, description = "What was done", body = DoneView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 403, description = "forbidden", body = ProblemSchema),
        (status = 404, description = "not-found: there is no such letter any more", body = ProblemSchema),
        (status = 409, description = "not-replayable: the one letter that was chosen cannot be", body = ProblemSchema),
        (status = 503, description = "unavailable: what was done so far is done; repeat it for the rest", body = ProblemSchema),
    ))]
pub async fn replay(
    State(app): State<Arc<App>>,
    scope: Scope,
    Json(body): Json<ChooseBody>,
) -> Result<axum::Json<DoneView>, Problem> {
    let store = app.metered(&scope);
    let owner = one_owner(&scope, body.tenant.as_deref())?;
    let choice = app.chosen(&store, &scope, &owner, &body).await?;
    if let (Some(_), [letter]) = (&body.id, &choice.letters[..])
        && let Replay::Impossible(reason) = letter.replay(app.clock.now())
    {
        return Err(
            Problem::new(StatusCode::CONFLICT, "not-replayable", "The letter cannot be replayed").detail(reason)
        );
    }
    app.act(&store, &scope, &owner, &choice, Action::Replay { rate: body.rate }, body.dry_run).await
}

/// Takes dead letters away for good: by cause, or one by its id.
#[utoipa::path(post, path = "/ops/dead-letters/discard", operation_id = "discardDeadLetters", tag = "operations", security(("jwt" = ["staff"]), ("jwt" = ["operator"])), request_body = ChooseBody,
    responses(
        (status = 200, description = "What was done", body = DoneView),
        (status = 400, description = "invalid-request", body = ProblemSchema),
        (status = 403, description = "forbidden", body = ProblemSchema),
        (status = 404, description = "not-found: there is no such letter any more", body = ProblemSchema),
        (status = 503, description = "unavailable: what was done so far is done; repeat it for the rest", body = ProblemSchema),
    ))]
pub async fn discard(
    State(app): State<Arc<App>>,
    scope: Scope,
    Json(body): Json<ChooseBody>,
) -> Result<axum::Json<DoneView>, Problem> {
    if body.rate.is_some() {
        return Err(Problem::invalid(vec![Invalid::new("rate", "is for replays")]));
    }
    let store = app.metered(&scope);
    let owner = one_owner(&scope, body.tenant.as_deref())?;
    let choice = app.chosen(&store, &scope, &owner, &body).await?;
    app.act(&store, &scope, &owner, &choice, Action::Discard, body.dry_run).await
}

/// Shows what was done about dead letters, the latest first: at most 100 of the last 400 days.
#[utoipa::path(get, path = "/ops/dead-letter-actions", operation_id = "listDeadLetterActions", tag = "operations", security(("jwt" = ["staff"]), ("jwt" = ["operator"])),
    params(("tenant" = Option<String>, Query, description = "Whose letters, for operators; `-` for those of nobody")),
    responses(
        (status = 200, description = "What was done", body = ActionsView),
        (status = 403, description = "forbidden", body = ProblemSchema),
    ))]
pub async fn actions(State(app): State<Arc<App>>, scope: Scope, uri: Uri) -> Result<axum::Json<ActionsView>, Problem> {
    let mut params = Params::of(&uri, &["tenant"])?;
    let tenant = params.read("tenant", |tenant| Ok(tenant.to_owned()));
    params.finish()?;
    let owner = one_owner(&scope, tenant.as_deref())?;
    let actions = app.metered(&scope).dead_actions(owner.tenant(), ACTIONS_MAX).await?;
    Ok(axum::Json(ActionsView { actions: actions.into_iter().map(ActionView::from).collect() }))
}

impl App {
    /// The letters that a request is about.
    async fn chosen(&self, store: &Store, scope: &Scope, owner: &Owner, body: &ChooseBody) -> Result<Choice, Problem> {
        let invalid = |field: &str, problem: &str| Err(Problem::invalid(vec![Invalid::new(field, problem)]));
        let limit = body.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return invalid("limit", &format!("must be 1 to {LIMIT_MAX}"));
        }
        if body.rate.is_some_and(|rate| !(1..=100).contains(&rate)) {
            return invalid("rate", "must be 1 to 100 a second");
        }
        for (field, name) in [("fingerprint", &body.fingerprint), ("id", &body.id)] {
            if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
                return invalid(field, &format!("must have at most {NAME_BYTES_MAX} bytes"));
            }
        }
        let owner_words = owner.tenant().map_or("-", |tenant| tenant.as_str());
        match (&body.fingerprint, &body.id) {
            (Some(fingerprint), None) => {
                let name = json!(["dead-letters", scope.caller.tenant, owner_words, fingerprint, "act"]).to_string();
                let after = body.cursor.as_deref().map(|cursor| self.cursor_key.open(&name, cursor)).transpose();
                let after = after.map_err(|problem| Problem::invalid(vec![Invalid::new("cursor", problem)]))?;
                let count = i32::try_from(limit).unwrap_or(i32::MAX);
                let page = store.dead_letters(owner.dead_of(), Some(fingerprint), count, after.as_deref()).await?;
                if page.letters.is_empty() && page.next.is_none() && body.cursor.is_none() {
                    return Err(Problem::not_found("dead letter of this fingerprint"));
                }
                let words = format!("fingerprint {fingerprint} of {owner_words}");
                let cursor = page.next.map(|sk| self.cursor_key.seal(&name, &sk));
                Ok(Choice { letters: page.letters, cursor, list: name, words })
            }
            (None, Some(id)) => {
                let letter = store.dead_letter_read(owner.tenant(), id).await?;
                let letter = letter.ok_or_else(|| Problem::not_found("dead letter"))?;
                let words = format!("id {id} of {owner_words}");
                Ok(Choice { letters: vec![letter], cursor: None, list: String::new(), words })
            }
            (None, None) => invalid("fingerprint", "or id is required"),
            (Some(_), Some(_)) => invalid("id", "and fingerprint exclude each other"),
        }
    }
}
