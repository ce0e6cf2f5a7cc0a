//! The file to source in a shell: addresses, tokens, and headers for curl.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use uuid::Uuid;

use crate::demo;
use crate::stack::Stack;

/// Its name in the data folder.
pub(super) const NAME: &str = "env";

/// One variable a line. Every value is complete and in single quotes, as a shell and `node --env-file` read it.
pub(super) fn text(stack: &Stack, tokens: BTreeMap<&str, String>) -> String {
    let mut variables: Vec<(String, String)> = vec![
        ("URL".to_owned(), stack.base_url()),
        ("AUTH".to_owned(), format!("authorization: Bearer {}", tokens["owner"])),
        ("JSON".to_owned(), "content-type: application/json".to_owned()),
    ];
    variables.extend(tokens.into_iter().map(|(user, token)| (user.to_uppercase(), token)));
    let agents = demo::agents_of(demo::DEMO.id);
    for (name, agent) in ["AGENT", "ANOTHER_AGENT"].into_iter().zip(agents) {
        variables.push((name.to_owned(), Uuid::to_string(&agent)));
    }
    for (name, value) in [
        ("TELNYX", stack.telnyx().url().as_str()),
        ("CONTROL", stack.telnyx().control_url().as_str()),
        ("TELNYX_KEY", stack.telnyx().api_key()),
        ("DATABASE", stack.database_url()),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let lines: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect();
    lines.concat()
}

/// The path of the file as it is typed after `.` in a shell: relative to the current folder, if it is below.
pub(super) fn shell_path(data: &Path) -> String {
    let path = data.join(NAME);
    let current = env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(&current).unwrap_or(&path).display().to_string();
    let is_plain = path.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-+".contains(letter));
    if is_plain { path } else { quoted(&path) }
}

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
