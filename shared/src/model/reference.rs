//! Names that go outside the database: accounts, deployments, and the reference that an order carries.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The Telnyx account that buys or has a number, as the ledger names it. It stays the same whatever secret holds its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountName {
    /// The account of the platform: `platform`.
    Platform,
    /// An agency's own account: `agency:<id of the agency>`.
    Agency(Uuid),
    /// A name that predates account names: the name of a secret.
    Secret(String),
}

impl AccountName {
    /// Whether an agency may buy in this account, now or earlier: in its own, and in the platform's.
    #[must_use]
    pub fn serves(&self, agency_id: Uuid) -> bool {
        match self {
            Self::Platform => true,
            Self::Agency(own) => *own == agency_id,
            Self::Secret(_) => false,
        }
    }
}

impl From<&str> for AccountName {
    fn from(name: &str) -> Self {
        match name.strip_prefix("agency:").map(Uuid::try_parse) {
            Some(Ok(agency_id)) => Self::Agency(agency_id),
            _ if name == "platform" => Self::Platform,
            _ => Self::Secret(name.to_owned()),
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => formatter.write_str("platform"),
            Self::Agency(agency_id) => write!(formatter, "agency:{agency_id}"),
            Self::Secret(name) => formatter.write_str(name),
        }
    }
}

/// The `customer_reference` of an order: `pn:<deployment>:<agency>:<purchase>`. It names the agency and the purchase, so
/// that reconcile can restore the row of a number after the purchase is lost from the database, from a backup for example.
///
/// ```
/// use shared::model::Reference;
///
/// let text = "pn:prod:0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55:5b0c1f0e-3a52-4b8e-9c61-2f1d9d6f7a10";
/// let reference: Reference = text.parse()?;
/// assert_eq!(reference.deployment.as_deref(), Some("prod"));
/// assert_eq!(reference.to_string(), text);
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The deployment that buys; None in `pn:<agency>:<purchase>`, the form that predates deployment names.
    pub deployment: Option<String>,
    /// The agency that buys.
    pub agency_id: Uuid,
    /// The purchase.
    pub purchase_id: Uuid,
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deployment, agency_id, purchase_id } = self;
        match deployment {
            Some(deployment) => write!(formatter, "pn:{deployment}:{agency_id}:{purchase_id}"),
            None => write!(formatter, "pn:{agency_id}:{purchase_id}"),
        }
    }
}

impl FromStr for Reference {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = text.strip_prefix("pn:")?.rsplitn(3, ':');
            let purchase_id = parts.next()?.parse().ok()?;
            let agency_id = parts.next()?.parse().ok()?;
            let deployment = parts.next().map(str::to_owned);
            let readable = deployment.as_deref().is_none_or(is_deployment);
            readable.then_some(Self { deployment, agency_id, purchase_id })
        };
        read().ok_or("is no reference of a purchase")
    }
}

/// Whether a text can name a deployment: the rule of the constraint `phone_number_deployment_name_format`.
#[must_use]
pub fn is_deployment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=128).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_deployment_agency_and_purchase() {
        let (agency_id, purchase_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for deployment in [None, Some("prod".to_owned())] {
            let reference = Reference { deployment, agency_id, purchase_id };
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
        let unreadable = ["", "op-42", "pn:", "pn:1:2", "00000000-0000-0000-0000-000000000001"].map(str::to_owned);
        let named = ["", "a:b", "-a", "ä"].map(|deployment| format!("pn:{deployment}:{agency_id}:{purchase_id}"));
        for text in unreadable.into_iter().chain(named) {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_account_serves_its_agency_and_the_platforms_serves_all() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (account, serves) in [(AccountName::Platform, true), (AccountName::Agency(one), true), (AccountName::Agency(other), false)] {
            assert_eq!(AccountName::from(account.to_string().as_str()), account);
            assert_eq!(account.serves(one), serves, "{account}");
        }
        for name in ["env:TELNYX_API_KEY", "agency:", "agency:demo", "Platform", ""] {
            assert_eq!(AccountName::from(name), AccountName::Secret(name.to_owned()));
        }
    }
}
