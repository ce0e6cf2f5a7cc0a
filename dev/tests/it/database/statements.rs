//! Every statement of the store, held against the migrated database.

use std::collections::BTreeSet;
use std::fs;

use dev::postgres::TestDatabase;
use dev::workspace;
use shared::store::statements;

/// The name that a statement carries on its first line.
fn name(statement: &str) -> &str {
    let line = statement.lines().next().unwrap();
    let name = line.strip_prefix("-- ").unwrap_or_else(|| panic!("no name: {statement}"));
    let (module, verb) = name.split_once('.').unwrap_or_else(|| panic!("no name: {statement}"));
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(word(module) && word(verb), "{name}");
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

/// A statement that the list forgot would be prepared by nobody: the names in the source are those of the list.
#[test]
fn no_statement_is_missing_from_the_list() {
    let mut written = BTreeSet::new();
    for file in fs::read_dir(workspace::root().join("shared/src/store")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for (_, rest) in source.match_indices("-- ").map(|(at, mark)| source.split_at(at + mark.len())) {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_' && c != '.').unwrap_or(rest.len());
            if rest[..end].contains('.') {
                written.insert(rest[..end].to_owned());
            }
        }
    }
    let listed: BTreeSet<_> = statements().map(|statement| name(statement).to_owned()).collect();
    assert_eq!(listed, written);
}
