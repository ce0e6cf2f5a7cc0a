//! Turns the log of a process, which is made for programs, into lines for a person.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use shared::store::FindingKind;

use crate::colours::{Colours, Tone};

/// What the names of all functions begin with.
const PREFIX: &str = "phone-numbers-";
/// The width of the column with the function and the method.
const NAME_WIDTH: usize = 14;
/// What a request can have waited for: the field, and its name in the line.
const WAITS: [(&str, &str); 4] = [("telnyx_ms", "Telnyx"), ("postgres_ms", "Postgres"), ("secrets_ms", "secrets"), ("jwks_ms", "keys")];
/// Metrics of every run of reconcile, also of one that changes nothing.
const ROUTINE: [&str; 2] = ["NumbersCompared", "AccountsCompared"];
/// Metrics that say how things are. They are news only when they change; the other metrics say what a run has done.
const STATES: [&str; 7] =
    ["PurchasesPending", "AccountsPaused", "WrongDeployment", "StuckPurchases", "StuckReleases", "StuckAccounts", "OpenFindings"];

/// Reads the lines of one process, which serves one request at a time.
#[derive(Debug)]
pub(super) struct Reader {
    /// Without the prefix.
    function: String,
    colours: Colours,
    /// The reason that the line about the request will end with.
    reason: Option<String>,
    /// The notes of this run of reconcile so far, and those of the run before.
    notes: BTreeSet<String>,
    notes_before: BTreeSet<String>,
    /// The metrics of the last run.
    metrics: BTreeMap<String, u64>,
}

impl Reader {
    pub(super) fn new(function: &str, colours: Colours) -> Self {
        Self {
            function: function.strip_prefix(PREFIX).unwrap_or(function).to_owned(),
            colours,
            reason: None,
            notes: BTreeSet::new(),
            notes_before: BTreeSet::new(),
            metrics: BTreeMap::new(),
        }
    }

    /// The line to show for a line of the process. None if it is about nothing that somebody asked for.
    pub(super) fn read(&mut self, line: &str) -> Option<String> {
        let Ok(Value::Object(object)) = serde_json::from_str(line) else {
            // Of the runtime's start or end, or of the system's libraries.
            return Some(self.note(None, line.trim_end())).filter(|_| !line.trim().is_empty());
        };
        if object.contains_key("_aws") {
            return self.run(&object);
        }
        let fields = object.get("fields").and_then(Value::as_object).unwrap_or(&object);
        match text(fields, "message").unwrap_or_default() {
            "request answered" => self.answered(fields),
            "request failed" => {
                self.reason = text(fields, "error").map(str::to_owned);
                None
            }
            _ => self.warning(text(&object, "level").unwrap_or_default(), fields),
        }
    }

    /// The process has ended. The line to show if it ended between an error and its answer.
    pub(super) fn end(&mut self) -> Option<String> {
        self.reason.take().map(|reason| self.failure(&reason))
    }

    /// A failure of the function.
    pub(super) fn failure(&self, what: &str) -> String {
        self.note(Some(("error", Tone::Bad)), what)
    }

    /// The line about a request. A browser sends preflights by itself, and so does `cargo dev` to see whether functions answer.
    fn answered(&mut self, fields: &Map<String, Value>) -> Option<String> {
        let reason = self.reason.take();
        self.notes.clear();
        let (method, status) = (text(fields, "method").unwrap_or_default(), number(fields, "status")?);
        if method == "OPTIONS" && status < 400 {
            return None;
        }
        let tone = match status {
            ..400 => Tone::Good,
            400..500 => Tone::Warning,
            _ => Tone::Bad,
        };
        let name = format!("{} {method}", self.function);
        let duration_ms = number(fields, "duration_ms").unwrap_or_default();
        let mut line = format!("{name:<NAME_WIDTH$} {} {duration_ms:>4} ms", self.colours.paint(tone, status));
        let waits: Vec<_> = WAITS.iter().filter_map(|(field, name)| Some(format!("{name} {}", number(fields, field)?))).collect();
        // The text of an error of ours begins with its code.
        let outcome = reason.as_deref().or(text(fields, "code")).unwrap_or_default();
        for (text, tone) in [(waits.join(", "), Tone::Faint), (outcome.to_owned(), tone)] {
            if !text.is_empty() {
                line.push_str("  ");
                line.push_str(&self.colours.paint(tone, text));
            }
        }
        Some(line)
    }

    /// A warning or an error beside a request's outcome, unless the run before said the same.
    fn warning(&mut self, level: &str, fields: &Map<String, Value>) -> Option<String> {
        let level = match level {
            "WARN" => ("warning", Tone::Warning),
            "ERROR" => ("error", Tone::Bad),
            _ => return None,
        };
        let message = text(fields, "message").unwrap_or_default();
        let mut what = error(Some(message).filter(|message| !message.is_empty()), text(fields, "error"));
        let others = fields.iter().filter(|(name, _)| !["message", "error", "function", "request_id"].contains(&name.as_str()));
        let others: Vec<_> =
            others.map(|(name, value)| format!("{name} {}", value.as_str().map_or(value.to_string(), str::to_owned))).collect();
        if !others.is_empty() {
            what = format!("{what} ({})", others.join(", "));
        }
        let is_new = !self.notes_before.contains(&what);
        let note = is_new.then(|| self.note(Some(level), &what));
        self.notes.insert(what);
        note
    }

    /// The metrics of a run of reconcile, if it did anything or found anything changed.
    fn run(&mut self, line: &Map<String, Value>) -> Option<String> {
        self.notes_before = std::mem::take(&mut self.notes);
        let metrics = line["_aws"].pointer("/CloudWatchMetrics/0/Metrics").and_then(Value::as_array).into_iter().flatten();
        let counts = metrics.filter_map(|metric| {
            let name = metric["Name"].as_str()?;
            Some((name.to_owned(), number(line, name)?))
        });
        let counts: BTreeMap<_, _> = counts.collect();
        let is_news = |name: &str, count: u64| {
            let is_same = self.metrics.get(name) == Some(&count);
            count > 0 && !ROUTINE.contains(&name) && !(is_same && is_state(name))
        };
        let news: Vec<_> =
            counts.iter().filter(|(name, count)| is_news(name, **count)).map(|(name, count)| format!("{} {count}", words(name))).collect();
        self.metrics = counts;
        let duration_ms = number(line, "duration_ms").unwrap_or_default();
        (!news.is_empty()).then(|| format!("{:<NAME_WIDTH$} run {duration_ms:>4} ms  {}", self.function, news.join(", ")))
    }

    fn note(&self, level: Option<(&str, Tone)>, what: &str) -> String {
        let level = level.map(|(level, tone)| self.colours.paint(tone, format!("{level}: "))).unwrap_or_default();
        format!("{:<NAME_WIDTH$} {level}{what}", self.function)
    }
}

fn is_state(metric: &str) -> bool {
    STATES.contains(&metric) || FindingKind::ALL.iter().any(|kind| kind.metric() == metric)
}

/// `PurchasesCompleted` as `purchases completed`.
fn words(metric: &str) -> String {
    let mut words = String::new();
    for letter in metric.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// What happened and why, as far as it is known.
fn error(what: Option<&str>, why: Option<&str>) -> String {
    what.into_iter().chain(why).collect::<Vec<_>>().join(": ")
}

fn text<'line>(fields: &'line Map<String, Value>, name: &str) -> Option<&'line str> {
    fields.get(name).and_then(Value::as_str)
}

fn number(fields: &Map<String, Value>, name: &str) -> Option<u64> {
    fields.get(name).and_then(Value::as_u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reader() -> Reader {
        Reader::new("phone-numbers-purchase", Colours::Off)
    }

    fn answered() -> Value {
        json!({"message": "request answered", "method": "POST", "status": 502, "code": "upstream_error", "duration_ms": 34, "telnyx_ms": 20})
    }

    #[test]
    fn the_reason_of_a_failure_is_in_the_line_of_its_request_alone() {
        let mut reader = reader();
        let failed = json!({"level": "WARN", "fields": {"message": "request failed", "code": "upstream_error", "error": "upstream_error: Telnyx sent HTML"}});
        assert_eq!(reader.read(&failed.to_string()), None);
        let line = |fields: Value| json!({"level": "INFO", "fields": fields, "span": {}, "spans": [{}]}).to_string();
        let expected = "purchase POST  502   34 ms  Telnyx 20  upstream_error";
        assert_eq!(reader.read(&line(answered())).unwrap(), format!("{expected}: Telnyx sent HTML"));
        assert_eq!(reader.read(&line(answered())).unwrap(), expected);
        // Fields at the top of the line are read, too.
        assert_eq!(reader.read(&answered().to_string()).unwrap(), expected);
    }

    #[test]
    fn a_failure_without_an_answer_is_shown_at_the_end_of_the_process() {
        let mut reader = reader();
        reader.read(&json!({"level": "ERROR", "fields": {"message": "request failed", "error": "oh"}}).to_string());
        assert_eq!(reader.end().unwrap(), "purchase       error: oh");
        assert_eq!(reader.end(), None);
    }

    #[test]
    fn warnings_have_their_fields_and_what_is_no_json_is_shown_as_it_is() {
        let mut reader = reader();
        let warning = json!({"level": "WARN", "fields": {"message": "a lease could not be renewed", "error": "timeout", "row": 7}});
        assert_eq!(reader.read(&warning.to_string()).unwrap(), "purchase       warning: a lease could not be renewed: timeout (row 7)");
        assert_eq!(reader.read(&json!({"level": "INFO", "fields": {"message": "warmed up"}}).to_string()), None);
        assert_eq!(reader.read("malloc(): corrupted top size").unwrap(), "purchase       malloc(): corrupted top size");
        assert_eq!(reader.read(""), None);
    }

    fn run(counts: &Value) -> String {
        let metrics: Vec<_> = counts.as_object().unwrap().keys().map(|name| json!({"Name": name})).collect();
        let mut line = json!({"_aws": {"CloudWatchMetrics": [{"Metrics": metrics}]}, "message": "reconciled", "duration_ms": 35});
        line.as_object_mut().unwrap().extend(counts.as_object().unwrap().clone());
        line.to_string()
    }

    #[test]
    fn a_run_tells_what_it_did_and_a_state_only_when_it_changes() {
        let mut reader = Reader::new("phone-numbers-reconcile", Colours::Off);
        let mut read = |counts: Value| reader.read(&run(&counts));
        assert_eq!(read(json!({"NumbersCompared": 3, "PurchasesCompleted": 0, "OpenFindings": 0})), None);
        let done = json!({"PurchasesCompleted": 1, "OpenFindings": 2, "InventoryDrift": 2});
        assert_eq!(read(done.clone()).unwrap(), "reconcile      run   35 ms  inventory drift 2, open findings 2, purchases completed 1");
        assert_eq!(read(done).unwrap(), "reconcile      run   35 ms  purchases completed 1");
        assert_eq!(read(json!({"OpenFindings": 1})).unwrap(), "reconcile      run   35 ms  open findings 1");
    }

    #[test]
    fn a_warning_that_each_run_repeats_is_shown_once() {
        let mut reader = Reader::new("phone-numbers-reconcile", Colours::Off);
        let warning = json!({"level": "ERROR", "fields": {"message": "the key of an account with numbers is missing"}}).to_string();
        let shown: Vec<_> = [&warning, &run(&json!({})), &warning, &run(&json!({})), &run(&json!({})), &warning]
            .into_iter()
            .map(|line| reader.read(line).is_some())
            .collect();
        assert_eq!(shown, [true, false, false, false, false, true]);
    }

    #[test]
    fn colours_say_how_a_request_ended() {
        let line = Reader::new("phone-numbers-list", Colours::On).read(&answered().to_string()).unwrap();
        assert!(line.contains("\u{1b}[1m\u{1b}[31m502\u{1b}[0m"), "{line:?}");
    }
}
