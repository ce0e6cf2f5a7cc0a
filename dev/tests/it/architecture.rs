//! Who may use whom, where the compiler does not say.

use std::fs;
use std::path::{Path, PathBuf};

use dev::workspace;

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
        assert!(dependencies.contains("shared"), "{}", entry.path().display());
        assert!(!dependencies.contains("phone-numbers-") && !dependencies.contains("dev"), "{}", entry.path().display());
    }
}

#[test]
fn shared_depends_on_nothing_of_ours() {
    let manifest = fs::read_to_string(workspace::root().join("shared/Cargo.toml")).unwrap();
    assert!(!manifest.contains("path =") && !manifest.contains("phone-numbers-"));
}

#[test]
fn the_store_and_telnyx_know_neither_each_other_nor_our_callers() {
    let callers = ["crate::lambda", "crate::problem", "crate::input", "crate::cors", "crate::auth"];
    says_nothing_of(&["shared/src/store", "shared/src/store.rs"], &["crate::telnyx"]);
    says_nothing_of(&["shared/src/telnyx", "shared/src/telnyx.rs"], &["crate::store"]);
    says_nothing_of(&["shared/src/store", "shared/src/store.rs", "shared/src/telnyx", "shared/src/telnyx.rs"], &callers);
}

#[test]
fn the_domain_knows_nothing_but_itself() {
    says_nothing_of(&["shared/src/model.rs"], &["use crate::", "tokio", "lambda_http", "reqwest"]);
    says_nothing_of(&["shared/src/error.rs"], &["tokio", "lambda_http", "reqwest"]);
    let error = fs::read_to_string(workspace::root().join("shared/src/error.rs")).unwrap();
    assert!(error.lines().all(|line| !line.starts_with("use crate::") || line.starts_with("use crate::model::")));
}

#[test]
fn only_problems_know_the_status_of_an_error() {
    says_nothing_of(
        &["shared/src/store", "shared/src/store.rs", "shared/src/auth", "shared/src/auth.rs", "shared/src/input.rs", "shared/src/error.rs"],
        &["StatusCode"],
    );
}

#[test]
fn the_simulator_shares_nothing_with_the_client_it_is_asked_by() {
    says_nothing_of(&["dev/src/telnyx_simulator", "dev/src/telnyx_simulator.rs"], &["shared::", "use shared"]);
}
