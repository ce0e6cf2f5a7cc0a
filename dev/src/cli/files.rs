//! The files that `cargo dev` writes: for a shell, for `sam local` and `cargo lambda watch`, and the ready file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::env_file::{self, quoted};
use crate::containers::Containers;
use crate::stack::Stack;
use crate::{demo, openapi, workspace};

/// The users whose tokens the ready file holds.
const READY_USERS: [&str; 5] = ["owner", "admin", "member", "client_viewer", "other_owner"];

/// The ready file.
#[derive(Serialize)]
struct Ready<'stack> {
    base_url: String,
    console_url: &'stack str,
    openapi_url: String,
    functions: BTreeMap<String, String>,
    function_urls: BTreeMap<String, String>,
    telnyx_url: String,
    telnyx_control_url: String,
    telnyx_api_key: &'stack str,
    database_url: &'stack str,
    jwt_secret: &'stack str,
    agencies: BTreeMap<&'static str, Uuid>,
    agents: BTreeMap<&'static str, Vec<Uuid>>,
    tokens: BTreeMap<&'static str, String>,
}

/// Writes every file; the ready file last.
pub(super) async fn write(
    stack: &Stack,
    console_url: &str,
    data: &Path,
    containers: Option<&mut Containers>,
    ready_file: Option<&Path>,
) -> Result<()> {
    write_json(&data.join("sam-env.json"), &sam_environment(stack, containers).await?)?;
    replace(&data.join("functions.env"), shell_environment(stack)?.as_bytes())?;
    write_events(stack, &workspace::root().join("events"), &data.join("events"))?;
    replace(&data.join(env_file::NAME), env_file::text(stack, tokens(stack)).as_bytes())?;
    ready_file.map_or(Ok(()), |path| write_json(path, &ready(stack, console_url)))
}

fn ready<'stack>(stack: &'stack Stack, console_url: &'stack str) -> Ready<'stack> {
    let mut tokens = tokens(stack);
    tokens.retain(|user, _| READY_USERS.contains(user));
    Ready {
        base_url: stack.base_url(),
        console_url,
        openapi_url: format!("{}{}", stack.base_url(), openapi::PATH),
        functions: stack.routes(),
        function_urls: stack.function_urls(),
        telnyx_url: stack.telnyx().url(),
        telnyx_control_url: stack.telnyx().control_url(),
        telnyx_api_key: stack.telnyx().api_key(),
        database_url: stack.database_url(),
        jwt_secret: &stack.issuer().secret,
        agencies: demo::AGENCIES.iter().map(|agency| (agency.key, agency.id)).collect(),
        agents: demo::AGENCIES.iter().map(|agency| (agency.key, demo::agents_of(agency.id))).collect(),
        tokens,
    }
}

/// A token for every user of the demo, by the user's key.
pub(super) fn tokens(stack: &Stack) -> BTreeMap<&'static str, String> {
    demo::USERS.iter().map(|user| (user.key, stack.issuer().token(user.id, user.email))).collect()
}

/// For `sam local … --env-vars`: the variables of each function, by its resource.
async fn sam_environment<'stack>(
    stack: &'stack Stack,
    containers: Option<&mut Containers>,
) -> Result<BTreeMap<&'stack str, BTreeMap<String, String>>> {
    let mut environments = BTreeMap::new();
    let mut containers = containers;
    for definition in stack.definitions() {
        let mut environment = stack.environment_of(&definition.name)?;
        if let Some(containers) = &mut containers {
            for name in ["DATABASE_URL", "TELNYX_API_URL"] {
                if let Some(url) = environment.get_mut(name) {
                    *url = containers.open(url).await?;
                }
            }
        }
        environments.insert(definition.resource.as_str(), environment);
    }
    Ok(environments)
}

/// For `cargo lambda watch --env-file …`, or a shell that starts one function: variables for every function, quoted, with the
/// database login that permits the most.
fn shell_environment(stack: &Stack) -> Result<String> {
    let environment = stack.environment_of("phone-numbers-purchase")?;
    let lines: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect();
    Ok(lines.concat())
}

/// Copies of the repository's events with a token of the demo's owner instead of theirs.
fn write_events(stack: &Stack, from: &Path, to: &Path) -> Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("reading {}", from.display()))?,
    };
    private_folder(to)?;
    let bearer = tokens(stack).remove("owner").map(|token| format!("Bearer {token}")).unwrap_or_default();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut event: Value = serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        authorize(&mut event, &bearer);
        write_json(&to.join(path.file_name().unwrap_or_default()), &event)?;
    }
    Ok(())
}

/// An event without the header tests its absence.
fn authorize(event: &mut Value, bearer: &str) {
    let headers = event.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("authorization") {
            *value = Value::String(bearer.to_owned());
        }
    }
}

/// The text of a secret stored in `data`. The first run creates it.
pub(super) fn secret(data: &Path, name: &str, make: impl FnOnce() -> String) -> Result<String> {
    let path = data.join(name);
    match fs::read_to_string(&path) {
        Ok(secret) => Ok(secret),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = make();
            replace(&path, secret.as_bytes())?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Creates a folder for files with secrets. Other users may enter it but not list it: Postgres may run as another user in a
/// folder below.
pub(super) fn private_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.with_context(|| format!("making {}; --data uses another folder", path.display()))
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("removing {}", path.display())),
        _ => Ok(()),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    replace(path, text.as_bytes())
}

/// Writes a file that only the current user can read, atomically.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(folder)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))
}
