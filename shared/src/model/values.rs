//! Values: phone numbers, money and the enums of the contract, as types that hold only what is valid.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::{Written, schema_of, words};

/// A phone number in E.164: `+`, then 7 to 15 digits of which the first is not 0.
///
/// The same rule as the table's constraint `agency_phone_numbers_phone_format`.
///
/// ```
/// use shared::model::E164;
///
/// let number: E164 = "+13125550123".parse()?;
/// assert_eq!(number.digits(), "13125550123");
/// assert!("(312) 555-0123".parse::<E164>().is_err());
/// # Ok::<(), &'static str>(())
/// ```
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

impl Written for E164 {
    #[cfg(feature = "schema")]
    fn schema() -> serde_json::Value {
        serde_json::json!({"type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$"})
    }
}

schema_of!(E164, "E164", <E164 as Written>::schema());

impl fmt::Display for E164 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

words! {
    /// The call direction a number is used for: enum `call_direction`.
    Direction { Inbound = "inbound", Outbound = "outbound" }
}

words! {
    /// The status of a number: enum `phone_number_status`.
    Status {
        /// Its purchase has begun and is not confirmed.
        Pending = "pending",
        /// In use.
        Active = "active",
        /// Temporarily disabled.
        Inactive = "inactive",
        /// Given back to Telnyx.
        Released = "released",
    }
}

words! {
    /// The kinds of number a search can ask for.
    NumberType { Local = "local", TollFree = "toll_free", Mobile = "mobile", National = "national" }
}

words! {
    /// What a number can be used for.
    Feature { Voice = "voice", Sms = "sms", Mms = "mms", Fax = "fax", Emergency = "emergency" }
}

/// An amount of money, whose currency is a field beside it. Written as a decimal string with at least two decimals.
///
/// ```
/// use shared::model::Money;
///
/// let limit: Money = "2.5".parse()?;
/// assert_eq!(limit.to_string(), "2.50");
/// assert!("1e3".parse::<Money>().is_err());
/// # Ok::<(), &'static str>(())
/// ```
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
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |part: &str, most: usize| part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit());
        let readable =
            are_digits(whole, 6) && are_digits(decimals, 4) && !decimals.is_empty() && (!whole.is_empty() || text.starts_with('.'));
        let amount = Decimal::from_str_exact(text).ok().filter(|_| readable);
        amount.map(Self).ok_or("must be a decimal string such as \"2.50\", with four decimals at the most")
    }
}

impl Written for Money {
    #[cfg(feature = "schema")]
    fn schema() -> serde_json::Value {
        serde_json::json!({"type": "string", "pattern": "^([0-9]{1,6}(\\.[0-9]{1,4})?|\\.[0-9]{1,4})$"})
    }
}

schema_of!(
    Money,
    "Money",
    serde_json::json!({"type": "string", "pattern": "^-?[0-9]+\\.[0-9]{2,}$", "description": "An amount of money: a decimal number."})
);

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The most that a number may cost; None is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A currency: ISO 4217, in capitals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Currency(String);

impl Currency {
    /// `USD`, in which Telnyx bills.
    #[must_use]
    pub fn usd() -> Self {
        Self("USD".to_owned())
    }
}

impl Written for Currency {
    #[cfg(feature = "schema")]
    fn schema() -> serde_json::Value {
        serde_json::json!({"type": "string", "pattern": "^[A-Z]{3}$"})
    }
}

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_code { Ok(Self(text.to_owned())) } else { Err("must be a currency's code such as USD") }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0
    }
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
}
