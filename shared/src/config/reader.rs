//! Reads settings by the table, and collects what is wrong with them.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use rust_decimal::Decimal;
use url::{Host, Url};

use super::SecretSource;
use super::table::{Fallback, Kind, Setting};
use crate::model::{Origin, is_deployment};

/// Settings that cannot be used. A process with such settings answers every request with 503.
///
/// Holds no values, since a value may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong: one text for each setting, which begins with its name.
    pub reasons: Vec<String>,
    /// The origins that browsers may call from, so that pages can read the answers nevertheless.
    pub allowed_origins: Vec<Origin>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "settings cannot be used: {}", self.reasons.join("; "))
    }
}

impl std::error::Error for Invalid {}

/// Reads values from an environment. A value that is wrong reads as None and leaves a reason.
pub(super) struct Reader<F> {
    lookup: F,
    reasons: Vec<String>,
    allowed_origins: Vec<Origin>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub(super) fn new(lookup: F) -> Self {
        Self { lookup, reasons: Vec::new(), allowed_origins: Vec::new() }
    }

    /// Ends the reading: `value` is what was read, None if a part of it is missing.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.reasons.is_empty() => Ok(value),
            _ => {
                if self.reasons.is_empty() {
                    self.reasons.push("a default of a setting is not within its range".to_owned());
                }
                Err(Invalid { reasons: self.reasons, allowed_origins: self.allowed_origins })
            }
        }
    }

    /// Notes what is wrong with a setting, as the end of a sentence that its name begins.
    pub(super) fn refuse(&mut self, setting: &Setting, reason: impl fmt::Display) {
        self.reasons.push(format!("{} {reason}", setting.name));
    }

    /// Any kind of text; None if it is not set and has no default.
    pub(super) fn text(&mut self, setting: &Setting) -> Option<String> {
        self.parsed(setting, |text| match setting.kind {
            Kind::OneOf(words) => words.contains(&text).then(|| text.to_owned()),
            Kind::Url => Url::parse(text).is_ok().then(|| text.to_owned()),
            Kind::HttpsUrl => Url::parse(text).is_ok_and(|url| is_protected(&url)).then(|| text.to_owned()),
            Kind::Deployment => is_deployment(text).then(|| text.to_owned()),
            Kind::Pattern(placeholder) => text.contains(placeholder).then(|| text.to_owned()),
            _ => Some(text.to_owned()),
        })
    }

    pub(super) fn boolean(&mut self, setting: &Setting) -> Option<bool> {
        self.parsed(setting, |text| text.to_ascii_lowercase().parse().ok())
    }

    pub(super) fn integer<T: TryFrom<u64>>(&mut self, setting: &Setting) -> Option<T> {
        let Kind::Integer(least, most) = setting.kind else { return None };
        self.parsed(setting, |text| {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number))?;
            T::try_from(number).ok()
        })
    }

    pub(super) fn millis(&mut self, setting: &Setting) -> Option<Duration> {
        self.integer(setting).map(Duration::from_millis)
    }

    pub(super) fn days(&mut self, setting: &Setting) -> Option<Duration> {
        self.integer(setting).map(|days: u32| Duration::from_hours(24) * days)
    }

    pub(super) fn decimal(&mut self, setting: &Setting) -> Option<Decimal> {
        let Kind::Decimal(most) = setting.kind else { return None };
        let most = Decimal::from_str(most).ok()?;
        self.parsed(setting, |text| Decimal::from_str_exact(text).ok().filter(|amount| (Decimal::ZERO..=most).contains(amount)))
    }

    /// The texts of a list; none if it is not set.
    pub(super) fn list(&mut self, setting: &Setting) -> Vec<String> {
        self.given(setting).map(|text| items(&text).map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The origins of a list. One that is wrong is left out and leaves a reason.
    pub(super) fn origins(&mut self, setting: &Setting) -> Vec<Origin> {
        let text = self.given(setting).unwrap_or_default();
        let (mut origins, mut wrong) = (Vec::new(), 0);
        for item in items(&text) {
            match item.parse() {
                Ok(origin) => origins.push(origin),
                Err(()) => wrong += 1,
            }
        }
        if wrong > 0 {
            self.refuse(setting, format_args!("has {wrong} items that are not origins"));
        }
        self.allowed_origins.clone_from(&origins);
        origins
    }

    /// A secret: given as it is, or by its name in Secrets Manager.
    pub(super) fn secret(&mut self, plain: &Setting, id: &Setting) -> Option<SecretSource> {
        let (plain, id) = (self.text(plain), self.text(id));
        plain.map(SecretSource::Plain).or_else(|| id.map(SecretSource::SecretsManager))
    }

    /// What `parse` makes of the value or, if it is not set, of the default.
    fn parsed<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let Some(text) = self.given(setting) else {
            let Fallback::Value(default) = setting.default else { return None };
            return parse(default);
        };
        let value = parse(&text);
        if value.is_none() {
            self.refuse(setting, expected(setting));
        }
        value
    }

    /// The value that the environment has, under the name of the setting or its former one.
    fn given(&mut self, setting: &Setting) -> Option<String> {
        let find = |name: &str| (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let now = find(setting.name);
        let former = setting.former_name.and_then(|name| find(name).map(|value| (name, value)));
        match (now, former) {
            (Some(now), Some((name, former))) if now != former => {
                self.refuse(setting, format_args!("and {name}, its former name, have different values"));
                None
            }
            (now, former) => now.or_else(|| former.map(|(_, value)| value)),
        }
    }
}

/// What the value of a setting has to be, as the end of a sentence that its name begins.
fn expected(setting: &Setting) -> String {
    match setting.kind {
        Kind::Integer(least, most) => format!("must be a whole number from {least} to {most}"),
        Kind::Decimal(most) => format!("must be an amount from 0 to {most}"),
        Kind::Boolean => "must be true or false".to_owned(),
        Kind::OneOf(words) => format!("must be one of {}", words.join(", ")),
        Kind::Url => "must be a URL".to_owned(),
        Kind::HttpsUrl => "must be a URL with https:".to_owned(),
        Kind::Pattern(placeholder) => format!("must contain {placeholder}"),
        Kind::Text | Kind::Path | Kind::List | Kind::Origins | Kind::Deployment => format!("must be {}", setting.form),
    }
}

/// Whether nobody between us and the host can read or change what is exchanged.
fn is_protected(url: &Url) -> bool {
    let is_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_this_machine)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}
