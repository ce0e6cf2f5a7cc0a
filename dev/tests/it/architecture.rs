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

/// The text of a file without comments and without the tests beside the code.
fn code(text: &str) -> String {
    let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((text, ""));
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules that a file names after `crate::`, in a `use` or within the code. A macro has no module.
fn used(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let after = code.split("crate::").skip(1);
    let names = after.filter_map(|rest| {
        let name = rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next()?;
        // A macro is at the root, whatever module declares it.
        (!name.is_empty() && !rest[name.len()..].starts_with('!')).then(|| name.to_owned())
    });
    names.collect()
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

/// A module by the names that lead to it from its crate: `["fault_proxy", "http"]`.
type Module = Vec<String>;

/// The paths that a file imports or names, such as `super::state::State`; `use` lists are expanded.
fn paths(text: &str) -> Vec<String> {
    let lines: Vec<_> = code(text).lines().map(|line| line.trim().trim_start_matches("pub ").to_owned()).collect();
    let mut found = Vec::new();
    let mut rest = String::new();
    for (index, part) in format!("\n{}", lines.join("\n")).split("\nuse ").enumerate() {
        let (tree, after) = if index == 0 { ("", part) } else { part.split_once(';').unwrap_or(("", part)) };
        found.extend(expanded(tree));
        rest.push_str(after);
        rest.push(' ');
    }
    // A module that the file declares is also named without `self::`.
    let declared = rest.split("mod ").skip(1).filter_map(|after| Some(after.split_once(';')?.0));
    let roots: Vec<_> = ["crate", "self", "super"].into_iter().chain(declared).collect();
    let words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').map(str::to_owned);
    found.extend(words);
    found.retain(|path| path.contains("::") && roots.contains(&path.split("::").next().unwrap()));
    found
}

/// `super::{a, b::{c, d}}` is `super::a`, `super::b::c`, `super::b::d`.
fn expanded(tree: &str) -> Vec<String> {
    let Some((prefix, list)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let (mut depth, mut branches) = (0, vec![String::new()]);
    for c in list[..list.rfind('}').unwrap()].chars() {
        match c {
            ',' if depth == 0 => branches.push(String::new()),
            c => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                branches.last_mut().unwrap().push(c);
            }
        }
    }
    // After the last comma there is nothing.
    branches
        .iter()
        .filter(|branch| !branch.trim().is_empty())
        .flat_map(|branch| expanded(branch))
        .map(|path| format!("{}{path}", prefix.trim()))
        .collect()
}

/// The module of a crate that a path names in the file of `module`: the longest beginning of the path that is one.
fn resolved(modules: &BTreeSet<Module>, module: &Module, path: &str) -> Module {
    let mut names: Vec<_> = path.split("::").collect();
    let mut found = match names[0] {
        "crate" => Module::new(),
        "super" => module[..module.len() - 1].to_vec(),
        _ => module.clone(),
    };
    if ["crate", "self", "super"].contains(&names[0]) {
        names.remove(0);
    }
    for name in names {
        if name == "super" {
            found.pop();
            continue;
        }
        found.push(name.to_owned());
        if !modules.contains(&found) {
            found.pop();
            break;
        }
    }
    found
}

/// Each module of `sources`, and the other modules that its file uses. The file of a crate only declares modules: it counts
/// as none.
fn uses(sources: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules: BTreeSet<_> = sources.keys().cloned().collect();
    let uses = sources.iter().map(|(module, text)| {
        let used = paths(text).into_iter().map(|path| resolved(&modules, module, &path));
        (module.clone(), used.filter(|used| used != module && !used.is_empty()).collect())
    });
    uses.collect()
}

/// The modules that use each other in a circle: what is left when modules that use none of the rest are taken away, and then
/// modules that none of the rest uses.
fn circles(mut left: BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    loop {
        let before = left.len();
        let modules: BTreeSet<_> = left.keys().cloned().collect();
        left.retain(|_, used| !used.is_disjoint(&modules));
        let used: BTreeSet<_> = left.values().flatten().cloned().collect();
        left.retain(|module, _| used.contains(module));
        if left.len() == before {
            return left.keys().map(|module| module.join("/")).collect();
        }
    }
}

#[test]
fn no_modules_of_dev_use_each_other_in_a_circle() {
    let folder = workspace::root().join("dev/src");
    let module = |file: &Path| {
        let path = file.strip_prefix(&folder).unwrap().with_extension("");
        path.iter().map(|name| name.to_str().unwrap().to_owned()).filter(|name| name != "lib").collect::<Module>()
    };
    let files: BTreeMap<_, _> = sources("dev/src")
        .iter()
        .map(|file| (module(file), fs::read_to_string(file).unwrap()))
        .filter(|(module, _)| !module.is_empty())
        .collect();
    let uses = uses(&files);
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > files.len(), "the imports are read");
    assert_eq!(circles(uses), Vec::<String>::new());
}

#[test]
fn a_circle_of_modules_is_found_however_they_name_each_other() {
    let found = |sources: [(&str, &str); 3]| {
        let module = |name: &str| name.split('/').map(str::to_owned).collect::<Module>();
        circles(uses(&sources.map(|(name, text)| (module(name), text.to_owned())).into()))
    };
    for parent in ["use self::b::{B, C};", "mod b;\nfn f() { b::g() }", "use crate::a::{\n    b::{self, B},\n};", "fn f(_: self::b::B) {}"]
    {
        for child in ["use super::{A, c::C};", "fn f(_: super::A) {}", "use crate::{a::A, c};"] {
            assert_eq!(found([("a", parent), ("a/b", child), ("c", "")]), ["a", "a/b"], "{parent} {child}");
        }
    }
    assert_eq!(found([("a", "mod b;"), ("a/b", "use super::A;"), ("c", "use crate::a;")]), Vec::<String>::new());
    assert_eq!(found([("a", "use crate::c::C;"), ("a/b", "// use super::A;\nuse crate::c;"), ("c", "")]), Vec::<String>::new());
}
