//! Query strings as Telnyx reads them: `filter[a][b]=x`, arrays in every notation; unknown parameters are ignored.

use percent_encoding::percent_decode_str;

use super::errors::Problem;

/// The parameters of a request, each name split at its brackets.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(Vec<String>, String)>);

impl Query {
    pub(super) fn parse(raw: &str) -> Self {
        let parameters = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (split_name(&decode(name)), decode(value))
        });
        Self(parameters.collect())
    }

    /// The last value of a parameter; an empty one counts as absent.
    pub(super) fn one(&self, path: &[&str]) -> Option<&str> {
        self.0.iter().rev().find(|(name, value)| name == path && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter: `a=x,y`, `a[]=x&a[]=y`, `a[0]=x`, or `a` repeated.
    pub(super) fn all(&self, path: &[&str]) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(name, _)| {
                let parts = name.split_at_checked(path.len());
                parts.is_some_and(|(head, rest)| head == path && is_index(rest))
            })
            .flat_map(|(_, value)| value.split(','))
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// The value of `filter[name]`.
    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.one(&["filter", name])
    }

    /// A filter that is `true` or `false`; anything else is ignored.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.filter(name)?.parse().ok()
    }

    /// Whether a filter, `name` or `name[part]`, has this value, or this value among others. Upper and lower case are the same.
    pub(super) fn has_filter(&self, name: &str, value: &str) -> bool {
        let parts = split_name(name);
        let path: Vec<_> = std::iter::once("filter").chain(parts.iter().map(String::as_str)).collect();
        self.one(&path).into_iter().chain(self.all(&path)).any(|given| given.eq_ignore_ascii_case(value))
    }

    /// A whole number within bounds, or a 400 that names the parameter.
    pub(super) fn integer(&self, path: &[&str], least: usize, most: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.one(path) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => {
                let name = format!("{}[{}]", path[0], path[1..].join("]["));
                Err(Problem::bad_request(format!("{name} must be an integer from {least} to {most}.")).in_parameter(&name))
            }
        }
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// `filter[a][]` → `filter`, `a`, and an empty part.
fn split_name(name: &str) -> Vec<String> {
    let mut parts = name.split('[');
    let root = parts.next().unwrap_or_default().to_owned();
    std::iter::once(root).chain(parts.map(|part| part.trim_end_matches(']').to_owned())).collect()
}

fn is_index(rest: &[String]) -> bool {
    match rest {
        [] => true,
        [index] => index.chars().all(|c| c.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_array_is_understood() {
        for raw in [
            "filter[features]=sms,voice",
            "filter%5Bfeatures%5D=sms%2Cvoice",
            "filter[features][]=sms&filter[features][]=voice",
            "filter[features]=sms&filter[features]=voice",
            "filter[features][0]=sms&filter[features][1]=voice",
        ] {
            assert_eq!(Query::parse(raw).all(&["filter", "features"]), ["sms", "voice"], "{raw}");
        }
    }

    #[test]
    fn a_name_that_is_not_wrapped_is_another_name() {
        let query = Query::parse("country_code=US&filter[phone_number][contains]=555");
        assert_eq!(query.filter("country_code"), None);
        assert_eq!(query.one(&["filter", "phone_number", "contains"]), Some("555"));
        assert_eq!(query.filter("phone_number"), None);
    }
}
