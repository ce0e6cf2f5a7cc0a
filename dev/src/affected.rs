//! Which functions a change affects: those whose artifact has an input that changed.
//!
//! Cargo's dependency graph gives the inputs of an artifact: the folders of the function's package and of every package of
//! this workspace that it depends on, the locked versions of all other dependencies, and common files such as the root's
//! `Cargo.toml`. Dependencies of tests do not count. The digest of the inputs identifies the artifact: if it is known, the
//! function need not be built again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_lock::Lockfile;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use ring::digest::{SHA256, digest};
use serde::Serialize;

/// The folder of the functions' packages.
const FUNCTIONS: &str = "functions";
/// Inputs of every artifact. The scripts build and zip it.
const COMMON: [&str; 8] = [
    ".cargo",
    ".ci/artifact.py",
    ".ci/package",
    ".ci/requirements/builder.txt",
    ".ci/toolchain",
    "Cargo.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
];
/// The platforms that functions run on. Dependencies for other platforms do not count.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A function, and the digest of its artifact's inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// The package.
    pub name: String,
    /// In hexadecimal.
    pub digest: String,
}

impl Artifact {
    fn new((name, inputs): (String, String)) -> Self {
        let hash = digest(&SHA256, inputs.as_bytes());
        // Half of it is enough to distinguish artifacts.
        let half = hash.as_ref().first_chunk().copied().unwrap_or_default();
        Self { name, digest: format!("{:032x}", u128::from_be_bytes(half)) }
    }
}

/// A workspace with functions, as cargo resolves it now.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    functions: BTreeMap<String, Ingredients>,
}

/// The inputs of an artifact.
#[derive(Debug, Default)]
struct Ingredients {
    /// Folders and files, relative to the root.
    paths: BTreeSet<String>,
    /// Packages, those of this workspace too.
    packages: BTreeSet<Locked>,
}

/// A package's name and version, which identify it in a lock file.
type Locked = (String, String);

impl Workspace {
    /// Asks cargo about the workspace at `root`.
    ///
    /// # Errors
    /// If cargo fails, for instance because the lock file is out of date.
    pub fn read(root: &Path) -> Result<Self> {
        let platforms = PLATFORMS.iter().flat_map(|platform| ["--filter-platform", platform]);
        let options: Vec<_> = ["--locked"].into_iter().chain(platforms).map(str::to_owned).collect();
        let metadata = MetadataCommand::new().current_dir(root).other_options(options).exec()?;
        let mut functions = BTreeMap::new();
        for package in metadata.workspace_packages() {
            if folder(&metadata, package)?.starts_with(&format!("{FUNCTIONS}/")) {
                functions.insert(package.name.to_string(), ingredients(&metadata, package)?);
            }
        }
        ensure!(!functions.is_empty(), "the workspace has no functions");
        Ok(Self { root: root.to_owned(), functions })
    }

    /// The functions' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// The folders and files that a function is built from, relative to the root.
    pub fn paths_of(&self, function: &str) -> impl Iterator<Item = &str> {
        self.functions.get(function).into_iter().flat_map(|ingredients| &ingredients.paths).map(String::as_str)
    }

    /// Every function, as committed.
    ///
    /// # Errors
    /// If git fails.
    pub fn artifacts(&self) -> Result<Vec<Artifact>> {
        Ok(self.inputs("HEAD")?.into_iter().map(Artifact::new).collect())
    }

    /// The functions that changes since `base` affect, as committed. If the branches have diverged, changes that only `base`
    /// has do not count.
    ///
    /// # Errors
    /// If git does not know `base`.
    pub fn affected(&self, base: &str) -> Result<Vec<Artifact>> {
        let fork = self.git(&["merge-base", base, "HEAD"])?.with_context(|| format!("{base} has no common ancestor with HEAD"))?;
        let (before, mut now) = (self.inputs(&fork)?, self.inputs("HEAD")?);
        now.retain(|name, inputs| before.get(name) != Some(inputs));
        Ok(now.into_iter().map(Artifact::new).collect())
    }

    /// Each function's ingredients at a revision, one per line.
    fn inputs(&self, revision: &str) -> Result<BTreeMap<String, String>> {
        let lock = self.git(&["show", &format!("{revision}:Cargo.lock")])?.unwrap_or_default();
        let lock: Lockfile = lock.parse().with_context(|| format!("Cargo.lock at {revision}"))?;
        let inputs = self.functions.iter().map(|(name, ingredients)| {
            let mut lines = locked(&lock, &ingredients.packages);
            for path in &ingredients.paths {
                // The id of a tree or a blob covers its whole content.
                let id = self.git(&["rev-parse", "--verify", "--quiet", &format!("{revision}:{path}")])?;
                // Writing to a string does not fail.
                let _ = writeln!(lines, "{path} {}", id.as_deref().unwrap_or("absent"));
            }
            Ok((name.clone(), lines))
        });
        inputs.collect()
    }

    /// The output of git. `None` if it fails without a message: the object does not exist.
    fn git(&self, arguments: &[&str]) -> Result<Option<String>> {
        let output = Command::new("git").current_dir(&self.root).args(arguments).output().context("running git")?;
        if output.status.success() {
            return Ok(Some(String::from_utf8(output.stdout)?.trim_end().to_owned()));
        }
        let error = String::from_utf8_lossy(&output.stderr);
        if !error.is_empty() {
            bail!("git {}: {}", arguments.join(" "), error.trim_end());
        }
        Ok(None)
    }
}

/// Everything that `function` is built from, including what its manifest embeds:
/// `[package.metadata.artifact] embeds = ["sql"]`.
fn ingredients(metadata: &Metadata, function: &Package) -> Result<Ingredients> {
    let mut found = Ingredients::default();
    found.paths.extend(COMMON.map(str::to_owned));
    for id in closure(metadata, &function.id)? {
        let package = &metadata[&id];
        found.packages.insert((package.name.to_string(), package.version.to_string()));
        if package.source.is_none() {
            found.paths.insert(folder(metadata, package)?);
            let embeds = package.metadata["artifact"]["embeds"].as_array().into_iter().flatten();
            found.paths.extend(embeds.filter_map(|path| path.as_str()).map(str::to_owned));
        }
    }
    Ok(found)
}

/// `package` and its dependencies, without those of its tests.
fn closure(metadata: &Metadata, package: &PackageId) -> Result<BTreeSet<PackageId>> {
    let nodes = &metadata.resolve.as_ref().context("cargo resolved nothing")?.nodes;
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut open = vec![package];
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            let node = nodes.get(id).with_context(|| format!("cargo did not resolve {id}"))?;
            let built =
                node.deps.iter().filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            open.extend(built.map(|dependency| &dependency.pkg));
        }
    }
    Ok(found)
}

/// The folder of a package of this workspace, relative to the root.
fn folder(metadata: &Metadata, package: &Package) -> Result<String> {
    let folder = package.manifest_path.parent().context("a manifest is in no folder")?;
    let folder = folder.strip_prefix(&metadata.workspace_root).with_context(|| format!("{folder} is outside of the workspace"))?;
    Ok(folder.to_string())
}

/// The entries of `packages` in a lock file, one per line: the checksum of each, and which of the others it is linked with.
fn locked(lock: &Lockfile, packages: &BTreeSet<Locked>) -> String {
    let mut lines = BTreeSet::new();
    for package in &lock.packages {
        let id = (package.name.to_string(), package.version.to_string());
        if packages.contains(&id) {
            let checksum = package.checksum.as_ref().map(ToString::to_string).unwrap_or_default();
            // A git dependency has no checksum. Its source ends with the commit.
            let source = package.source.as_ref().map(ToString::to_string).unwrap_or_default();
            let linked = package.dependencies.iter().map(|other| (other.name.to_string(), other.version.to_string()));
            let linked: BTreeSet<_> = linked.filter(|other| packages.contains(other)).collect();
            lines.insert(format!("{id:?} {source} {checksum} {linked:?}\n"));
        }
    }
    lines.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_commit_of_a_git_dependency_counts() {
        let at = |commit: char| {
            let commit = commit.to_string().repeat(40);
            let text = format!(
                "version = 4\n\n[[package]]\nname = \"forked\"\nversion = \"1.0.0\"\n\
                 source = \"git+https://example.com/forked?branch=main#{commit}\"\n"
            );
            locked(&text.parse().unwrap(), &BTreeSet::from([("forked".to_owned(), "1.0.0".to_owned())]))
        };
        assert_eq!(at('a'), at('a'));
        assert_ne!(at('a'), at('b'));
    }
}
