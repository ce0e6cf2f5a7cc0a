//! The words of the domain, as types that can only hold what is valid.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A phone number in E.164: `+`, then 7 to 15 digits of which the first is not 0.
///
/// The same rule as the table's constraint `agency_phone_numbers_phone_format`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct E164(String);

impl E164 {
    /// The number with its leading `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without its leading `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

impl FromStr for E164 {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let valid = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if valid { Ok(Self(text.to_owned())) } else { Err("must be an E.164 number such as +13125550123") }
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A closed set of words, written alike in JSON, in query strings and in Postgres.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("`", $word, "`")]
                $(#[doc = ""] #[$doc])*
                $variant
            ),+
        }

        impl $name {
            /// The word itself.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(concat!("must be one of:" $(, " ", $word)+)),
                }
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// The call direction a number is used for: enum `call_direction`.
    Direction { Inbound = "inbound", Outbound = "outbound" }
}

words! {
    /// Where a number is in its life: enum `phone_number_status`.
    Status {
        /// Its purchase has begun and is not confirmed.
        Pending = "pending",
        /// Live.
        Active = "active",
        /// Temporarily disabled.
        Inactive = "inactive",
        /// Given back to Telnyx.
        Released = "released",
    }
}

words! {
    /// What a user is in the platform: enum `user_role`.
    Role {
        /// Owns an agency.
        AgencyOwner = "agency_owner",
        /// Manages an agency.
        AgencyAdmin = "agency_admin",
        /// Works in an agency.
        AgencyMember = "agency_member",
        /// Manages a client of an agency.
        ClientAdmin = "client_admin",
        /// Looks on for a client of an agency.
        ClientViewer = "client_viewer",
        /// Runs the platform.
        Admin = "admin",
    }
}

words! {
    /// The kinds of number a search can ask for.
    NumberType { Local = "local", TollFree = "toll_free", Mobile = "mobile", National = "national" }
}

words! {
    /// What a number can carry.
    Feature { Voice = "voice", Sms = "sms", Mms = "mms", Fax = "fax", Emergency = "emergency" }
}

/// What a caller may do; each function asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Look at numbers: search, list, read one.
    Read,
    /// Buy, assign, change settings, unassign.
    Manage,
    /// Give numbers back: it cannot be undone.
    Release,
}

impl Permission {
    /// The roles that have it.
    #[must_use]
    pub const fn roles(self) -> &'static [&'static str] {
        const OWNER: &str = Role::AgencyOwner.as_str();
        const ADMIN: &str = Role::AgencyAdmin.as_str();
        const MEMBER: &str = Role::AgencyMember.as_str();
        match self {
            Self::Read => &[OWNER, ADMIN, MEMBER],
            Self::Manage => &[OWNER, ADMIN],
            Self::Release => &[OWNER],
        }
    }
}

/// Somebody who may do what they ask for, and the agency they may do it in.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The user: the token's `sub`.
    pub user_id: Uuid,
    /// The user's agency, as the platform's `users` table says at this moment.
    pub agency_id: Uuid,
}

/// An amount of money; its currency stands beside it. Written as a decimal string with two decimals at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub Decimal);

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0.normalize();
        if amount.scale() < 2 {
            amount.rescale(2);
        }
        write!(formatter, "{amount}")
    }
}

impl FromStr for Money {
    type Err = &'static str;

    /// A limit that a caller sets: no more digits than the table's `numeric(10,4)` has.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let amount =
            Decimal::from_str_exact(text).ok().filter(|amount| digits && amount.scale() <= 4 && *amount < Decimal::from(1_000_000));
        amount.map(Self).ok_or("must be a decimal string such as \"2.50\", with four decimals at the most")
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The most that somebody pays for a number; what is None has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceLimits {
    /// Each month.
    pub monthly: Option<Money>,
    /// Once.
    pub upfront: Option<Money>,
    /// ISO 4217, of both.
    pub currency: String,
}

impl PriceLimits {
    /// Whether a price is known to be within the limits. One that is unknown, or in another currency, is not.
    #[must_use]
    pub fn permit(&self, monthly: Option<Money>, upfront: Option<Money>, currency: Option<&str>) -> bool {
        let within = |limit: Option<Money>, price: Option<Money>| limit.is_none_or(|limit| price.is_some_and(|price| price <= limit));
        let limited = self.monthly.is_some() || self.upfront.is_some();
        (!limited || currency == Some(&self.currency)) && within(self.monthly, monthly) && within(self.upfront, upfront)
    }
}

/// The Telnyx account that buys or has a number, as the ledger names it. It stays the same whatever secret holds its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountName {
    /// The account of the platform: `platform`.
    Platform,
    /// An agency's own account: `agency:<id of the agency>`.
    Agency(Uuid),
    /// A name from before accounts had names of their own: that of a secret, as it stands.
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

/// The `customer_reference` of an order: `pn:<deployment>:<agency>:<purchase>`. It names the agency and the purchase, so that
/// a number that carries it can be given its row again by a database that has forgotten the purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The deployment that buys; None in `pn:<agency>:<purchase>`, the form from before deployments had names.
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

/// A member that may be left out, and may be null to clear what it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Left out: stays as it is.
    #[default]
    Keep,
    /// Null: cleared.
    Clear,
    /// A new value.
    Set(T),
}

/// A row of `agency_phone_numbers`, with the agent it is assigned to.
#[derive(Clone, Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the columns of the table")]
pub struct PhoneNumber {
    /// The row's id.
    pub id: Uuid,
    /// The agency that holds the number.
    pub agency_id: Uuid,
    /// The number itself, in E.164.
    pub phone_number: String,
    /// Telnyx's id of the number; null until its purchase is confirmed.
    pub phone_number_id: Option<String>,
    /// The agency's own label.
    pub friendly_name: Option<String>,
    /// `local`, `toll_free`, …, in Telnyx's words; null until its purchase is confirmed.
    pub number_type: Option<String>,
    /// ISO 3166-1 alpha-2; null until its purchase is confirmed.
    pub country_code: Option<String>,
    /// Whether it takes calls.
    pub voice_enabled: bool,
    /// Whether it takes SMS.
    pub sms_enabled: bool,
    /// Whether it takes MMS.
    pub mms_enabled: bool,
    /// The agent it is assigned to.
    pub agent_mapping_id: Option<Uuid>,
    /// The default direction of calls.
    pub direction: Option<Direction>,
    /// Paid every month, in `currency`.
    pub monthly_cost: Option<Money>,
    /// Paid once, in `currency`.
    pub setup_cost: Option<Money>,
    /// ISO 4217.
    pub currency: String,
    /// Where it is in its life.
    pub status: Status,
    /// False once its release has begun.
    pub is_active: bool,
    /// When its purchase was confirmed.
    pub purchased_at: Option<DateTime<Utc>>,
    /// When it was given back.
    pub released_at: Option<DateTime<Utc>>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
    /// The agent it is assigned to, in full.
    pub agent_mappings: Option<AgentMapping>,
    /// While it is pending: what its purchase waits for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<PendingPurchase>,
}

/// What the purchase of a pending number waits for.
#[derive(Clone, Debug, Serialize)]
pub struct PendingPurchase {
    /// Whether Telnyx has every document it wants; null until it tells.
    pub requirements_met: Option<bool>,
    /// Until when Telnyx waits for the documents that it lacks, where it says so.
    pub requirements_deadline: Option<DateTime<Utc>>,
}

/// An entry of the history of a number's life.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// `bought`, `assigned`, `unassigned`, `changed`, `released`, `reconciled` or `deleted`.
    pub event: String,
    /// The user's id; `reconcile`, `operator` or `platform` where it was no user.
    pub actor: String,
    /// For each column that changed, what it was (`from`) and became (`to`).
    pub changes: serde_json::Value,
}

/// An agent of the platform, as a number's row shows it.
#[derive(Clone, Debug, Serialize)]
pub struct AgentMapping {
    /// The mapping's id.
    pub id: Uuid,
    /// The agent's id at Ultravox.
    pub ultravox_agent_id: String,
    /// Its name.
    pub ultravox_agent_name: Option<String>,
    /// Its voice.
    pub voice: Option<String>,
    /// The language it expects: a BCP 47 tag.
    pub language_hint: String,
    /// Whether its calls are recorded.
    pub recording_enabled: bool,
}

/// An agent that a number could be assigned to.
#[derive(Clone, Debug, Serialize)]
pub struct AvailableAgent {
    /// The mapping's id.
    pub id: Uuid,
    /// The agent's id at Ultravox.
    pub ultravox_agent_id: String,
    /// Its name.
    pub ultravox_agent_name: Option<String>,
    /// Its voice.
    pub voice: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_e164_number_has_a_plus_and_seven_to_fifteen_digits() {
        for good in ["+1234567", "+13125550123", "+123456789012345"] {
            assert_eq!(good.parse::<E164>().map(|number| number.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "+", "13125550123", "+03125550123", "+123456", "+1234567890123456", "+1312555o123", "+1 3125550123", "+١٢٣٤٥٦٧"]
        {
            assert!(bad.parse::<E164>().is_err(), "{bad}");
        }
    }

    #[test]
    fn money_is_written_with_two_decimals_at_the_least() {
        for (amount, written) in [("1.00000", "1.00"), ("0", "0.00"), ("2.5", "2.50"), ("0.0035", "0.0035"), ("1200", "1200.00")] {
            assert_eq!(Money(amount.parse().unwrap_or_default()).to_string(), written);
        }
    }

    #[test]
    fn an_amount_is_a_plain_decimal_string() {
        for (text, written) in [("0", "0.00"), ("2.5", "2.50"), ("999999.9999", "999999.9999"), (".5", "0.50")] {
            assert_eq!(text.parse::<Money>().map(|money| money.to_string()), Ok(written.to_owned()), "{text}");
        }
        for text in ["", "-1", "+1", "1e3", "1,5", "1.00001", "1000000", " 1", "1_000", "NaN", "."] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_price_is_held_against_the_limits() {
        let money = |text: &str| Some(Money(text.parse().unwrap_or_default()));
        let limits = |monthly, upfront| PriceLimits { monthly, upfront, currency: "USD".to_owned() };
        let permitted = |limits: &PriceLimits| limits.permit(money("1.00"), money("2.00"), Some("USD"));
        assert!(permitted(&limits(None, None)) && permitted(&limits(money("1"), money("2"))));
        assert!(!permitted(&limits(money("0.9999"), None)) && !permitted(&limits(None, money("1.99"))));
        let within = limits(money("5"), None);
        assert!(!within.permit(None, None, Some("USD")), "unknown");
        assert!(!within.permit(money("1"), None, Some("EUR")) && !within.permit(money("1"), None, None), "another currency");
        assert!(limits(None, None).permit(None, None, None), "no limit was given");
    }

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

    #[test]
    fn only_an_owner_may_release() {
        assert_eq!(Permission::Release.roles(), ["agency_owner"]);
        assert!(!Permission::Manage.roles().contains(&"agency_member"));
        assert!(Permission::Read.roles().contains(&"agency_member"));
        assert!(!Permission::Read.roles().contains(&"admin"));
    }
}
