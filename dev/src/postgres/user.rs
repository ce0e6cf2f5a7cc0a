//! The user that the programs of Postgres run as, and the folders that this user can enter.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The unprivileged user that Postgres runs as when we are root: it refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user that programs of Postgres run as. `None` if we are not root: then they run as the current user.
pub(super) fn unprivileged_user() -> Result<Option<User>> {
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Ok(uid), Ok(gid)) = (id(&["-u", name]), id(&["-g", name])) {
            return Ok(Some(User { uid, gid }));
        }
    }
    bail!("Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as")
}

fn id(arguments: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().context("running `id`")?;
    ensure!(output.status.success(), "`id` failed with {arguments:?}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// `directory`, or its replacement that the user of Postgres can read.
pub(super) fn for_postgres(directory: &Path) -> Result<PathBuf> {
    reachable(directory, unprivileged_user()?)
}

/// Creates `directory`. If `user` cannot enter it, creates a folder below the system's temporary one instead.
pub(super) fn reachable(directory: &Path, user: Option<User>) -> Result<PathBuf> {
    let make = |path: &Path| fs::create_dir_all(path).with_context(|| format!("making {}", path.display()));
    make(directory)?;
    let directory = directory.canonicalize()?;
    let Some(User { uid, gid }) = user else {
        return Ok(directory);
    };
    let parent = directory.parent().unwrap_or(&directory);
    let enters = Command::new("test").arg("-x").arg(parent).uid(uid).gid(gid).current_dir("/").status()?;
    if enters.success() {
        return Ok(directory);
    }
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    let elsewhere = std::env::temp_dir().join(format!("dev-postgres-kept-{:016x}", hasher.finish()));
    make(&elsewhere)?;
    // Another user could have created it before.
    ensure!(
        matches!(fs::symlink_metadata(&elsewhere)?, found if found.is_dir() && (found.uid() == 0 || found.uid() == uid)),
        "{} belongs to another user",
        elsewhere.display()
    );
    Ok(elsewhere)
}

pub(super) fn own(path: &Path, user: Option<User>) -> Result<()> {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    let Some(User { uid, gid }) = user else {
        return Ok(());
    };
    chown(path, Some(uid), Some(gid)).with_context(|| format!("giving {} to Postgres", path.display()))
}
