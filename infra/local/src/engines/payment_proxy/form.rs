//! Forms, as requests to Stripe carry their parameters.

use reqwest::Url;

/// The parameters of a request, in their order.
#[derive(Clone, Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body.
    pub fn of(body: &[u8]) -> Self {
        let mut url = base();
        url.set_query(std::str::from_utf8(body).ok());
        Self(url.query_pairs().into_owned().collect())
    }

    /// The parameter of this name, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A parameter that is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }

    /// Gives a parameter that is there another value.
    pub fn replace(&mut self, name: &str, value: &str) {
        for (_, known) in self.0.iter_mut().filter(|(known, _)| known == name) {
            value.clone_into(known);
        }
    }

    /// As a body.
    pub fn body(&self) -> Vec<u8> {
        let mut url = base();
        url.query_pairs_mut().extend_pairs(&self.0);
        url.query().unwrap_or_default().as_bytes().to_vec()
    }
}

fn base() -> Url {
    Url::parse("http://form").expect("this URL is one")
}
