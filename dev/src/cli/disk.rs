//! Tells that a disk is full, which appears as a failure of Postgres or of cargo in many forms.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Less than a build or a new database needs.
const LEAST_BYTES: u64 = 64 << 20;

/// What to do about a failure if a disk is full: the failure says so, or one of `folders` is on a disk without space.
pub(super) fn advice(error: &anyhow::Error, folders: &[PathBuf]) -> Option<String> {
    let says_so = error.chain().any(|cause| cause.downcast_ref::<Error>().is_some_and(|cause| cause.kind() == ErrorKind::StorageFull))
        || format!("{error:#}").contains("No space left on device");
    let full = folders.iter().find(|folder| free_bytes(folder).is_some_and(|free| free < LEAST_BYTES));
    let disk = match full {
        Some(folder) => format!("the disk of {} is full", folder.display()),
        None if says_so => "the disk is full".to_owned(),
        None => return None,
    };
    Some(format!("{disk}: free some space, or use another disk with --data (the database) and CARGO_TARGET_DIR (what cargo builds)"))
}

/// The free space of the disk that a folder is on, or will be on.
fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|path| path.exists())?;
    let disk = rustix::fs::statvfs(existing).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let folders = [PathBuf::from("/proc/nothing")];
        let written: Result<(), _> = Err(Error::from(ErrorKind::StorageFull));
        let of_postgres = anyhow!("initdb: could not write to file: No space left on device");
        for error in [written.context("writing env").unwrap_err(), of_postgres] {
            assert!(advice(&error, &[]).unwrap().contains("the disk is full: free some space"), "{error:#}");
        }
        assert_eq!(advice(&anyhow!("the functions do not compile"), &[]), None);
        let on_a_full_disk = advice(&anyhow!("the functions do not compile"), &folders).unwrap();
        assert!(on_a_full_disk.contains("the disk of /proc/nothing is full"), "{on_a_full_disk}");
    }
}
