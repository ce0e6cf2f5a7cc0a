//! Dependencies between crates and modules that the compiler does not check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dev::workspace;

use crate::documents::table;

/// The Rust files under a folder, or the file of that name.
fn sources(path: &str) -> Vec<PathBuf> {
    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap().flatten() {
                walk(&entry.path(), found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_owned());
        }
    }
    let mut found = Vec::new();
    walk(&workspace::root().join(path), &mut found);
    assert!(!found.is_empty(), "{path} is not there");
    found
}

#[track_caller]
fn says_nothing_of(paths: &[&str], words: &[&str]) {
    for file in paths.iter().flat_map(|path| sources(path)) {
        let text = fs::read_to_string(&file).unwrap();
        for word in words {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn functions_use_shared_and_no_function_uses_another() {
    for entry in fs::read_dir(workspace::root().join("functions")).unwrap().flatten() {
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        assert!(dependencies.contains("shared"), "{}", entry.path().display());
        assert!(!dependencies.contains("phone-numbers-") && !dependencies.contains("dev"), "{}", entry.path().display());
    }
}

#[test]
fn shared_depends_on_nothing_of_ours() {
    let manifest = fs::read_to_string(workspace::root().join("shared/Cargo.toml")).unwrap();
    assert!(!manifest.contains("path =") && !manifest.contains("phone-numbers-"));
}

/// The map in the documentation of `shared/src/lib.rs`: each module, and the modules that it may use.
fn map() -> BTreeMap<String, BTreeSet<String>> {
    let source = fs::read_to_string(workspace::root().join("shared/src/lib.rs")).unwrap();
    let documentation: Vec<_> = source.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let word = |text: &str| text.trim_matches(['[', ']', '`', ' ']).to_owned();
    let rows = table(&documentation.join("\n"), &["module", "subject", "uses"]).into_iter();
    rows.map(|row| (word(&row[0]), row[2].split(',').map(word).filter(|name| !name.is_empty()).collect())).collect()
}

/// The modules that a file names after `crate::`, in a `use` or within the code; tests beside the code do not count.
fn used(text: &str) -> BTreeSet<String> {
    let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((text, ""));
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let after = code.split("crate::").skip(1);
    let names = after.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_modules_of_shared_use_those_that_the_map_permits() {
    let map = map();
    let declared: BTreeSet<_> = fs::read_to_string(workspace::root().join("shared/src/lib.rs"))
        .unwrap()
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    assert_eq!(map.keys().cloned().collect::<BTreeSet<_>>(), declared, "the map names every module");
    let mut used_by: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
    for module in map.keys() {
        let folder = format!("shared/src/{module}");
        let files = sources(&format!("{folder}.rs")).into_iter();
        let files = files.chain(if workspace::root().join(&folder).is_dir() { sources(&folder) } else { Vec::new() });
        for file in files {
            used_by.entry(module).or_default().extend(used(&fs::read_to_string(&file).unwrap()));
        }
    }
    for (module, mut used) in used_by {
        used.remove(module);
        assert_eq!(used, map[module], "{module} uses other modules than the map in shared/src/lib.rs says");
    }
}

/// A row lists what a module uses; these rules say what it must never list.
#[test]
fn the_map_keeps_the_store_telnyx_and_the_callers_apart() {
    let map = map();
    let reaches = |from: &str| {
        let (mut found, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(module) = next.pop() {
            next.extend(map[&module].iter().filter(|used| !found.contains(*used)).cloned().collect::<Vec<_>>());
            found.extend(map[&module].iter().cloned());
        }
        found
    };
    let forbidden = [
        ("model", vec!["error", "config", "store", "telnyx", "lambda"]),
        ("store", vec!["telnyx", "saga", "auth", "problem", "lambda", "idempotency"]),
        ("telnyx", vec!["store", "saga", "auth", "problem", "lambda", "idempotency"]),
        ("saga", vec!["auth", "problem", "lambda", "idempotency"]),
        ("lambda", vec!["store", "telnyx", "saga"]),
    ];
    for (module, forbidden) in forbidden {
        for name in forbidden {
            assert!(map.contains_key(name) && !reaches(module).contains(name), "{module} depends on {name}");
        }
    }
}

#[test]
fn the_domain_performs_no_io() {
    says_nothing_of(&["shared/src/model.rs", "shared/src/model", "shared/src/error.rs"], &["tokio", "lambda_http", "reqwest"]);
}

#[test]
fn only_problems_know_the_status_of_an_error() {
    says_nothing_of(
        &["shared/src/store", "shared/src/store.rs", "shared/src/auth", "shared/src/auth.rs", "shared/src/error.rs"],
        &["StatusCode"],
    );
}

#[test]
fn the_simulator_shares_no_code_with_the_client() {
    says_nothing_of(&["dev/src/telnyx_simulator", "dev/src/telnyx_simulator.rs"], &["shared::", "use shared"]);
}
