//! What belongs to one request: its caller, its trace, and what it spends.

use super::{Caller, Problem};
use axum::extract::FromRequestParts;
use holdfast_domain::event::Trace;
use holdfast_store::Meter;
use http::request::Parts;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

/// One request's own things, made before the handler runs.
#[derive(Clone)]
pub struct Scope {
    /// Who calls.
    pub caller: Caller,
    /// Where the request came from, to be carried on.
    pub trace: Trace,
    /// What the request spends at the database.
    pub meter: Arc<Meter>,
    /// What the handler wants to see on the request's log line.
    pub notes: Notes,
}

/// What belongs to a request of a route that is open: nobody is known to call.
#[derive(Clone)]
pub struct OpenScope {
    /// Where the request came from, to be carried on.
    pub trace: Trace,
    /// What the handler wants to see on the request's log line.
    pub notes: Notes,
}

/// Words for the request's log line.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<NoteWords>>);

#[derive(Clone, Default)]
pub(super) struct NoteWords {
    pub order_id: String,
    pub outcome: &'static str,
}

impl Notes {
    /// The order that the request is about.
    pub fn order(&self, id: impl ToString) {
        self.lock().order_id = id.to_string();
    }

    /// What came of it, in a word.
    pub fn outcome(&self, outcome: &'static str) {
        self.lock().outcome = outcome;
    }

    pub(super) fn words(&self) -> NoteWords {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, NoteWords> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of a [`Scope`] that exist whoever calls.
#[derive(Clone)]
pub(super) struct Frame {
    pub trace: Trace,
    pub meter: Arc<Meter>,
    pub notes: Notes,
}

impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = Caller::of(&parts.extensions)?;
        let Frame { trace, meter, notes } = Frame::of(parts);
        Ok(Self { caller, trace, meter, notes })
    }
}

impl<S: Sync> FromRequestParts<S> for OpenScope {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let Frame { trace, notes, .. } = Frame::of(parts);
        Ok(Self { trace, notes })
    }
}

impl Frame {
    fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().expect("routers are served by `serve`, which adds the frame").clone()
    }
}
