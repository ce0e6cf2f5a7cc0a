//! What is measured: the functions as they are deployed, and the references in `dev/bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::children::output;
use crate::lambda::functions::{Programs, build};
use crate::lambda::template::Template;
use crate::workspace;

pub(super) const LIST: &str = "phone-numbers-list";
/// List, with statements that have no names.
const LIST_UNNAMED: &str = "list-unnamed";
/// List behind a pooler.
const LIST_POOLER: &str = "list-pooler";
/// A function that does nothing.
pub(super) const EMPTY: &str = "empty";
/// Sends list's statements, and does little else.
pub(super) const BARE: &str = "bare";
/// List with the default features of every crate.
pub(super) const NAIVE: &str = "naive";
/// As [`BARE`], in Node.
pub(super) const NODE: &str = "node";
/// It has no callers, and takes as long as its migrations do.
const MIGRATE: &str = "phone-numbers-migrate";

/// How a program uses Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It connects to the server, and prepares its statements if it can.
    Direct,
    /// It connects to the server, and its statements have no names.
    Unnamed,
    /// It connects to a pooler, behind which statements have no names.
    Pooler,
}

/// A program that is measured.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The function's name, or that of a reference.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<PathBuf>,
    /// The function whose login it has.
    pub(super) function: String,
    pub(super) access: Access,
    pub(super) is_reference: bool,
    /// Nothing for Node, whose program is not deployed with a function.
    pub(super) size: Option<Size>,
    /// The memory that the template grants.
    pub(super) memory_mb: u64,
}

/// The size of a program, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) binary: u64,
    pub(super) zip: u64,
}

/// The functions of these names, or all but migrate if there are none, then the references. What is missing is built. `with_pooler`
/// adds list without names, and behind a pooler.
pub(super) async fn all(names: &[String], with_pooler: bool) -> Result<Vec<Program>> {
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let known = template.functions.iter().filter(|definition| definition.name != MIGRATE);
    let wanted: Vec<_> = known.filter(|definition| names.is_empty() || names.contains(&definition.name)).collect();
    ensure!(names.iter().all(|name| wanted.iter().any(|definition| definition.name == *name)), "there is no such function: {names:?}");
    // The references send what list sends.
    ensure!(wanted.iter().any(|definition| definition.name == LIST), "{LIST} must be among the functions");
    let mut programs = Vec::new();
    for definition in wanted {
        let path = artifact(&definition.name).await?;
        programs.push(Program::new(&definition.name, path, false, definition.memory_mb).await?);
    }
    let list = programs.iter().find(|program| program.name == LIST);
    let again =
        list.filter(|_| with_pooler).map(|list| [(LIST_UNNAMED, Access::Unnamed), (LIST_POOLER, Access::Pooler)].map(|of| list.again(of)));
    programs.extend(again.into_iter().flatten());
    let memory_mb = programs.iter().find(|program| program.name == LIST).map_or(0, |program| program.memory_mb);
    let (references, folder) = (workspace::root().join("dev/bench"), workspace::target().join("bench"));
    let mut built = build::build_workspace(&references, &folder).await?;
    built.extend(build::build_workspace(&references.join("naive"), &folder).await?);
    for name in [EMPTY, BARE, NAIVE] {
        programs.push(Program::new(name, take(&mut built, &format!("bench-{name}"))?, true, memory_mb).await?);
    }
    programs.extend(node(&references.join("node"), &folder.join("node"), memory_mb).await?);
    Ok(programs)
}

impl Program {
    async fn new(name: &str, path: PathBuf, is_reference: bool, memory_mb: u64) -> Result<Self> {
        let size = Some(Size { binary: fs::metadata(&path)?.len(), zip: zipped(&path).await? });
        let function = if is_reference { LIST } else { name }.to_owned();
        let access = Access::Direct;
        Ok(Self { name: name.to_owned(), path, arguments: Vec::new(), function, access, is_reference, size, memory_mb })
    }

    /// The same program once more, with another access to Postgres.
    fn again(&self, (name, access): (&str, Access)) -> Self {
        Self { name: name.to_owned(), access, ..self.clone() }
    }
}

fn take(built: &mut Programs, name: &str) -> Result<PathBuf> {
    built.remove(name).with_context(|| format!("the package {name} has no binary of that name"))
}

/// What `.ci/package` has made of a function, unless it is older than the sources; then the program is built with the same profile.
pub(super) async fn artifact(name: &str) -> Result<PathBuf> {
    let packaged = workspace::target().join("lambda").join(name).join("bootstrap");
    if fs::metadata(&packaged).and_then(|found| found.modified()).is_ok_and(|made| made > newest_source(name)) {
        return Ok(packaged);
    }
    eprintln!("building {name}: there is no artifact of .ci/package, or it is older than the sources");
    // One at a time: in a common build, Cargo would enable every feature of `shared` that any function needs.
    take(&mut build::build(&[name], true).await?, name)
}

/// When a source of a function was last changed.
fn newest_source(function: &str) -> SystemTime {
    let sources = ["Cargo.toml", "Cargo.lock", "shared", "functions"].map(|path| workspace::root().join(path));
    let [manifest, lock, shared, functions] = sources;
    [manifest, lock, shared, functions.join(function)].iter().map(|path| newest(path)).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn newest(path: &Path) -> SystemTime {
    let own = fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| newest(&entry.path())).fold(own, SystemTime::max)
}

/// The size of a program in a ZIP file, which compresses as gzip does.
async fn zipped(path: &Path) -> Result<u64> {
    let packed = Command::new("gzip").args(["-9", "--stdout"]).arg(path).output().await.context("running gzip")?;
    ensure!(packed.status.success(), "gzip failed: {}", String::from_utf8_lossy(&packed.stderr));
    Ok(u64::try_from(packed.stdout.len())?)
}

/// Node with `pg`, if there is Node.
async fn node(source: &Path, folder: &Path, memory_mb: u64) -> Result<Option<Program>> {
    let Ok(node) = output(Command::new("sh").args(["-c", "command -v node"])).await else { return Ok(None) };
    fs::create_dir_all(folder)?;
    for file in ["package.json", "package-lock.json", "index.mjs"] {
        fs::copy(source.join(file), folder.join(file))?;
    }
    let mut install = Command::new("npm");
    output(install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(folder))
        .await
        .context("fetching pg with npm")?;
    let (path, arguments) = (node.into(), vec![folder.join("index.mjs")]);
    let (function, access) = (LIST.to_owned(), Access::Direct);
    Ok(Some(Program { name: NODE.to_owned(), path, arguments, function, access, is_reference: true, size: None, memory_mb }))
}
