//! Every statement of the store, prepared on the migrated database.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dev::postgres::TestDatabase;
use dev::workspace;
use shared::store::statements;

/// The name on the first line of a statement.
fn name(statement: &str) -> &str {
    let line = statement.lines().next().unwrap();
    let name = line.strip_prefix("-- ").unwrap_or_else(|| panic!("no name: {statement}"));
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(name.contains('.') && name.split('.').all(word), "{name}");
    name
}

#[tokio::test]
async fn every_statement_prepares_against_the_migrated_database() {
    let database = TestDatabase::migrated().await.unwrap();
    let sql = database.connect().await.unwrap();
    for statement in statements() {
        let prepared = sql.prepare(statement).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{}: {:?}", name(statement), error.as_db_error()));
        assert!(!prepared.columns().is_empty(), "{} tells nothing of what it did", name(statement));
    }
}

#[test]
fn every_statement_has_a_name_of_its_own() {
    let names: BTreeSet<_> = statements().map(name).collect();
    assert_eq!(names.len(), statements().count());
}

/// The Rust files under a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// The names of the statements that each module of the store contains, with the module's path.
fn written() -> Vec<(String, String)> {
    let store = workspace::root().join("shared/src/store");
    let mut written = Vec::new();
    for file in sources(&store) {
        let module = file.strip_prefix(&store).unwrap().with_extension("");
        let module = module.to_str().unwrap().replace('/', ".");
        let source = fs::read_to_string(file).unwrap();
        for (at, mark) in source.match_indices("-- ") {
            let rest = &source[at + mark.len()..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_' && c != '.').unwrap_or(rest.len());
            if rest[..end].contains('.') {
                written.push((rest[..end].to_owned(), module.clone()));
            }
        }
    }
    written
}

/// A statement that the list lacks is not prepared by the test above.
#[test]
fn no_statement_is_missing_from_the_list() {
    let listed: BTreeSet<_> = statements().map(|statement| name(statement).to_owned()).collect();
    let written: BTreeSet<_> = written().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, written);
}

#[test]
fn a_statement_is_named_after_its_module() {
    for (name, module) in written() {
        let path = name.rsplit_once('.').unwrap().0;
        assert_eq!(path, module, "{name}");
    }
}
