//! The forms that all functions share in the API's description (OpenAPI 3.1, by utoipa).

use utoipa::ToSchema;

/// An amount of money.
#[derive(ToSchema)]
#[schema(as = Money)]
pub struct MoneySchema {
    /// Integer minor units: 1999 is 19.99 EUR. At most 9,007,199,254,740,991.
    #[schema(minimum = 0, example = 1999)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
}

/// A postal address, as its country writes it. Control characters are refused.
#[derive(ToSchema)]
#[schema(as = Address)]
pub struct AddressSchema {
    /// The person or company.
    #[schema(max_length = 200)]
    pub name: String,
    /// Street and number, or whatever stands first.
    #[schema(max_length = 200)]
    pub line1: String,
    /// A second line.
    #[schema(max_length = 200)]
    pub line2: Option<String>,
    /// Town or locality.
    #[schema(max_length = 200)]
    pub city: String,
    /// State, province or prefecture.
    #[schema(max_length = 200)]
    pub region: Option<String>,
    /// Postal code.
    #[schema(max_length = 20)]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[schema(pattern = "^[A-Z]{2}$", example = "DE")]
    pub country: String,
    /// A number for the carrier.
    #[schema(max_length = 40)]
    pub phone: Option<String>,
}

/// What went wrong (RFC 9457). Some kinds have members of their own besides.
#[derive(ToSchema)]
#[schema(as = Problem)]
pub struct ProblemSchema {
    /// Names the kind, in its last part.
    #[schema(rename = "type", example = "https://holdfast.dev/problems/out-of-stock")]
    #[allow(dead_code, reason = "only its form is used")]
    pub r#type: String,
    /// The kind, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, for people.
    pub detail: Option<String>,
    /// The fields of the request that are wrong.
    pub errors: Option<Vec<InvalidSchema>>,
    /// The id under which the logs tell more.
    pub correlation_id: String,
}

/// A field and what is wrong with it.
#[derive(ToSchema)]
#[schema(as = Invalid)]
pub struct InvalidSchema {
    /// Its path.
    #[schema(example = "lines[0].quantity")]
    pub field: String,
    /// What is wrong.
    #[schema(example = "must be 1 to 10000")]
    pub problem: String,
}
