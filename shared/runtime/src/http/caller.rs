//! Who calls, by the claims that the API's authorizer verified.

use super::Problem;
use holdfast_domain::ids::{CustomerId, TenantId};
use holdfast_domain::order::Customer;
use http::{Extensions, StatusCode};
use lambda_http::request::RequestContext;

/// What a token may be used for: the words of its `scope` claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Placing and reading one's own orders.
    Orders,
    /// Receiving and reading stock.
    Stock,
    /// Writing products.
    Catalog,
    /// Seeing and changing what belongs to any customer of the tenant.
    Staff,
    /// Running the installation: what is of all tenants, or of none.
    Operator,
}

impl Right {
    fn word(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Stock => "stock",
            Self::Catalog => "catalog",
            Self::Staff => "staff",
            Self::Operator => "operator",
        }
    }
}

/// A verified caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose shop: the `tenant` claim, and nothing else.
    pub tenant: TenantId,
    /// Who: the `sub` claim.
    pub customer: Customer,
    scope: String,
}

impl Caller {
    /// Reads the claims that API Gateway's JWT authorizer put into the request context.
    ///
    /// # Errors
    /// 401 without verified claims; 403 when they do not name a tenant and a customer.
    pub(super) fn of(extensions: &Extensions) -> Result<Self, Problem> {
        let claims = match extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref()).map(|jwt| &jwt.claims)
            }
            _ => None,
        };
        let Some(claims) = claims else {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not authenticated");
            return Err(problem.detail("The request carries no verified token."));
        };
        let claim = |name: &str| claims.get(name).cloned().unwrap_or_default();
        let unusable = |name: &str| Problem::forbidden(format!("The token's claim {name:?} is missing or unusable."));
        Ok(Self {
            tenant: TenantId::parse(claim("tenant")).map_err(|_| unusable("tenant"))?,
            customer: Customer {
                id: CustomerId::parse(claim("sub")).map_err(|_| unusable("sub"))?,
                guest: claim("guest") == "true",
            },
            scope: claim("scope"),
        })
    }

    /// Whether the token carries a right.
    pub fn may(&self, right: Right) -> bool {
        self.scope.split(' ').any(|word| word == right.word())
    }

    /// Insists on a right.
    ///
    /// # Errors
    /// 403 when the token lacks it.
    pub fn require(&self, right: Right) -> Result<(), Problem> {
        match self.may(right) {
            true => Ok(()),
            false => Err(Problem::forbidden(format!("The token lacks the scope {:?}.", right.word()))),
        }
    }
}
