//! Documents that repeat what the code declares: settings, error codes, routes.

use std::collections::BTreeMap;
use std::fs;

use dev::workspace;
use shared::config::{Fallback, Kind, SETTINGS, Setting};
use shared::error;

use crate::support::functions::FUNCTIONS;
use crate::support::product::template;

fn document(name: &str) -> String {
    fs::read_to_string(workspace::root().join("docs").join(name)).unwrap()
}

/// The rows of the table whose header begins with these cells, without the header.
pub(crate) fn table(document: &str, header: &[&str]) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim().trim_matches('|').split(" |").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = document
        .lines()
        .skip_while(|line| !line.starts_with('|') || !cells(line).starts_with(&header.iter().map(ToString::to_string).collect::<Vec<_>>()));
    lines.by_ref().take(2).for_each(drop);
    let rows: Vec<_> = lines.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "there is no table {header:?}");
    rows
}

/// The cells of a setting's row in `docs/configuration.md`, as far as the code declares them.
fn row(setting: &Setting) -> Vec<String> {
    let default = match setting.default {
        Fallback::Nothing => "none".to_owned(),
        Fallback::Described(text) => text.to_owned(),
        Fallback::Value(value) if matches!(setting.kind, Kind::Integer(..) | Kind::Decimal(_)) => value.to_owned(),
        Fallback::Value(value) => format!("`{value}`"),
    };
    let former = setting.former_name.map(|name| format!("; formerly `{name}`, which is still read")).unwrap_or_default();
    let meaning = format!("{}{former}", setting.meaning);
    vec![format!("`{}`", setting.name), setting.type_name().to_owned(), setting.unit.to_owned(), default, setting.range(), meaning]
}

#[test]
fn the_documented_settings_are_those_of_the_code() {
    let documented = table(&document("configuration.md"), &["name", "type", "unit", "default", "range", "meaning"]);
    for (documented, setting) in documented.iter().zip(SETTINGS) {
        assert_eq!(documented[..6], row(setting), "docs/configuration.md should have: | {} |", row(setting).join(" | "));
    }
    assert_eq!(documented.len(), SETTINGS.len());
}

/// A variable that no setting reads would have no effect.
#[test]
fn the_template_sets_only_settings() {
    let template = fs::read_to_string(workspace::root().join("template.yaml")).unwrap();
    let is_variable = |name: &str| name.len() > 3 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let names = template.lines().filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name)).filter(|name| is_variable(name));
    let unknown: Vec<_> = names.filter(|name| !SETTINGS.iter().any(|setting| setting.name == *name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_documented_problem_codes_are_those_of_the_code() {
    let mut documented: Vec<_> =
        table(&document("api.md"), &["status", "code", "meaning"]).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let mut declared: Vec<_> = error::KINDS.iter().map(|kind| (kind.status.to_string(), format!("`{}`", kind.code))).collect();
    documented.sort_unstable();
    declared.sort_unstable();
    assert_eq!(documented, declared);
}

#[test]
fn the_documented_routes_are_those_of_the_template() {
    let api = document("api.md");
    let mut documented = BTreeMap::new();
    for heading in api.lines().filter(|line| line.starts_with("## ") && line.contains(" /")) {
        let quoted: Vec<_> = heading.split('`').skip(1).step_by(2).flat_map(|text| text.split(' ')).collect();
        let (paths, methods): (Vec<_>, Vec<_>) = quoted.into_iter().partition(|word| word.starts_with('/'));
        assert_eq!(paths.len(), 1, "{heading}");
        documented.insert(paths[0].to_owned(), methods);
    }
    let mut routes = BTreeMap::new();
    for function in template().functions {
        for route in &function.routes {
            let methods = FUNCTIONS.iter().find(|(name, _)| *name == function.name).map_or(vec!["POST"], |(_, methods)| methods.to_vec());
            assert_eq!(route.method == "ANY", FUNCTIONS.iter().any(|(name, _)| *name == function.name), "{}", route.key());
            routes.insert(route.path.clone(), methods);
        }
    }
    assert_eq!(documented, routes);
}
