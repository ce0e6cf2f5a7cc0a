//! Which functions a change affects, in a temporary repository with the real cargo.
//!
//! ```text
//! one ──→ common ──→ alpha         alpha, beta, gamma, delta: from a registry
//! two ──→ beta ──→ gamma           three: builds with helper, is tested with common, embeds sql/
//! three                            dev ──→ one, delta
//! ```

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use dev::affected::{Artifact, Workspace};
use tempfile::TempDir;

const ALL: [&str; 3] = ["one", "three", "two"];
/// The dependencies in the manifests.
const PACKAGES: [(&str, &str); 6] = [
    ("functions/one", "[dependencies]\ncommon = { path = \"../../common\" }"),
    ("functions/two", "[dependencies]\nbeta = \"1\""),
    (
        "functions/three",
        "[build-dependencies]\nhelper = { path = \"../../helper\" }\n[dev-dependencies]\ncommon = { path = \"../../common\" }\n\
         [package.metadata.artifact]\nembeds = [\"sql\"]",
    ),
    ("common", "[dependencies]\nalpha = \"1\""),
    ("helper", ""),
    ("dev", "[dependencies]\none = { path = \"../functions/one\" }\ndelta = \"1\""),
];

struct Repository(TempDir);

impl Repository {
    /// One commit, with everything in it.
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"functions/*\", \"common\", \"helper\", \"dev\"]\n");
        repository.write(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"\n[net]\noffline = true\n",
        );
        for (folder, dependencies) in PACKAGES {
            repository.package(folder, "0.1.0", dependencies);
        }
        for (name, dependencies) in [("alpha", ""), ("beta", "[dependencies]\ngamma = \"1\""), ("gamma", ""), ("delta", "")] {
            repository.vendor(name, "1.0.0", dependencies);
        }
        for file in [
            "README.md",
            "template.yaml",
            "events/list.json",
            "sql/V1__first.sql",
            ".ci/artifact.py",
            ".ci/package",
            ".ci/toolchain",
            ".ci/run",
        ] {
            repository.write(file, "1\n");
        }
        repository.lock();
        repository.commit();
        repository
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn package(&self, folder: &str, version: &str, dependencies: &str) {
        let name = folder.rsplit('/').next().unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2024\"\n{dependencies}\n");
        self.write(&format!("{folder}/Cargo.toml"), &manifest);
        self.write(&format!("{folder}/src/lib.rs"), "");
        self.write(&format!("{folder}/build.rs"), "fn main() {}\n");
    }

    /// Publishes a package in the registry, in its only version.
    fn vendor(&self, name: &str, version: &str, dependencies: &str) {
        let folder = format!("vendor/{name}");
        self.package(&folder, version, dependencies);
        let mut checksum = String::new();
        for byte in format!("{name:>16}{version:>16}").bytes() {
            write!(checksum, "{byte:02x}").unwrap();
        }
        self.write(&format!("{folder}/.cargo-checksum.json"), &format!("{{\"files\":{{}},\"package\":\"{checksum}\"}}"));
    }

    fn lock(&self) {
        run(self.root(), "cargo", &["generate-lockfile", "--offline", "--quiet"]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        run(self.root(), "git", arguments)
    }

    /// Commits everything and returns the revision.
    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        let person = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"];
        self.git(&[&person[..], &["commit", "--quiet", "--allow-empty", "--message", "A change"]].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    fn affected(&self, base: &str) -> Vec<String> {
        Workspace::read(self.root()).unwrap().affected(base).unwrap().into_iter().map(|artifact| artifact.name).collect()
    }

    fn artifacts(&self) -> Vec<Artifact> {
        Workspace::read(self.root()).unwrap().artifacts().unwrap()
    }

    /// The functions affected by a change of one file.
    fn touched_by(&self, path: &str) -> Vec<String> {
        let text = fs::read_to_string(self.root().join(path)).unwrap_or_default();
        let comment = if Path::new(path).extension().is_some_and(|extension| extension == "toml") { "#" } else { "//" };
        self.write(path, &format!("{text}{comment} changed\n"));
        self.commit();
        self.affected("HEAD~1")
    }
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_file_touches_the_functions_that_are_built_from_its_package() {
    let repository = Repository::new();
    for (path, touched) in [
        ("functions/two/src/lib.rs", vec!["two"]),
        ("functions/two/src/new.rs", vec!["two"]),
        ("common/src/lib.rs", vec!["one"]),
        ("helper/Cargo.toml", vec!["three"]),
        ("sql/V2__second.sql", vec!["three"]),
    ] {
        assert_eq!(repository.touched_by(path), touched, "{path}");
    }
}

#[test]
fn what_no_function_is_built_from_touches_none() {
    let repository = Repository::new();
    for path in ["README.md", "template.yaml", "events/list.json", "dev/src/lib.rs", ".ci/run", ".github/workflows/ci.yml"] {
        assert_eq!(repository.touched_by(path), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn what_every_function_is_built_with_touches_all() {
    let repository = Repository::new();
    for path in ["Cargo.toml", ".cargo/config.toml", ".ci/artifact.py", ".ci/package", ".ci/toolchain"] {
        assert_eq!(repository.touched_by(path), ALL, "{path}");
    }
}

#[test]
fn another_version_in_the_lock_file_touches_those_that_are_linked_with_it() {
    let repository = Repository::new();
    for (name, touched) in [("alpha", vec!["one"]), ("gamma", vec!["two"]), ("delta", vec![])] {
        repository.vendor(name, "1.0.1", "");
        repository.lock();
        repository.commit();
        assert_eq!(repository.affected("HEAD~1"), touched, "{name}");
    }
    repository.vendor("delta", "1.0.1", "[dependencies]\ngamma = \"1\"");
    repository.lock();
    repository.commit();
    assert_eq!(repository.affected("HEAD~1"), Vec::<String>::new());
}

#[test]
fn the_same_version_with_another_checksum_touches_too() {
    let repository = Repository::new();
    let lock = fs::read_to_string(repository.root().join("Cargo.lock")).unwrap();
    let checksum = lock.split("name = \"gamma\"").nth(1).unwrap().split("checksum = \"").nth(1).unwrap().split('"').next().unwrap();
    let other = format!("00{}", &checksum[2..]);
    repository.write("Cargo.lock", &lock.replace(checksum, &other));
    let vendored = fs::read_to_string(repository.root().join("vendor/gamma/.cargo-checksum.json")).unwrap();
    repository.write("vendor/gamma/.cargo-checksum.json", &vendored.replace(checksum, &other));
    repository.commit();
    assert_eq!(repository.affected("HEAD~1"), ["two"]);
}

#[test]
fn a_function_that_is_new_is_touched() {
    let repository = Repository::new();
    repository.package("functions/four", "0.1.0", "");
    repository.lock();
    repository.commit();
    assert_eq!(repository.affected("HEAD~1"), ["four"]);
}

#[test]
fn several_commits_count_together_and_what_was_taken_back_does_not() {
    let repository = Repository::new();
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.touched_by("functions/two/src/lib.rs");
    repository.touched_by("common/src/lib.rs");
    assert_eq!(repository.affected(&base), ["one", "two"]);
    repository.write("functions/two/src/lib.rs", "");
    repository.commit();
    assert_eq!(repository.affected(&base), ["one"]);
}

#[test]
fn what_the_base_alone_has_does_not_count() {
    let repository = Repository::new();
    repository.git(&["checkout", "--quiet", "-b", "change"]);
    repository.touched_by("functions/two/src/lib.rs");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.touched_by("common/src/lib.rs");
    repository.git(&["checkout", "--quiet", "change"]);
    assert_eq!(repository.affected("main"), ["two"]);
}

#[test]
fn the_same_ingredients_have_the_same_digest() {
    let repository = Repository::new();
    let first = repository.artifacts();
    assert_eq!(first.iter().map(|artifact| artifact.name.as_str()).collect::<Vec<_>>(), ALL);
    repository.touched_by("README.md");
    assert_eq!(repository.artifacts(), first);
    repository.touched_by("common/src/lib.rs");
    let second = repository.artifacts();
    let unchanged: Vec<_> = first.iter().filter(|artifact| second.contains(artifact)).map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(unchanged, ["three", "two"]);
    repository.write("common/src/lib.rs", "");
    repository.commit();
    assert_eq!(repository.artifacts(), first);
}

#[test]
fn a_base_that_is_not_there_is_an_error() {
    let repository = Repository::new();
    let error = Workspace::read(repository.root()).unwrap().affected("nowhere").unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error:#}");
}

#[test]
fn in_this_repository_migrate_alone_is_built_from_the_migrations() {
    let root = dev::workspace::root();
    let workspace = Workspace::read(&root).unwrap();
    let embeds = |name: &str| workspace.paths_of(name).any(|path| path == "sql");
    let names: Vec<_> = workspace.names().filter(|name| embeds(name)).collect();
    assert_eq!(names, ["phone-numbers-migrate"]);
    for name in workspace.names() {
        let paths: Vec<_> = workspace.paths_of(name).collect();
        assert!(paths.contains(&"shared") && paths.contains(&format!("functions/{name}").as_str()), "{name}: {paths:?}");
        assert!(!paths.contains(&"dev"), "{name}: {paths:?}");
    }
}
