//! What `cargo dev` prints once everything answers.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::Url;

use super::env_file;
use crate::colours::{Colours, Tone};
use crate::openapi;
use crate::stack::Stack;

/// The addresses, and the first commands. Fits 80 columns unless the path of `data` is long.
pub(super) fn text(stack: &Stack, console_url: &str, data: &Path, took: Duration, colours: Colours) -> String {
    let heading = colours.paint(Tone::Strong, format!("Ready after {} s.", took.as_secs()));
    let mut text = format!("\n{heading} Ctrl-C stops everything; `cargo dev --help` shows the rest.\n\n");
    let env_file = env_file::shell_path(data);
    for (what, address, remark) in [
        ("console", console_url.to_owned(), "in a browser"),
        ("functions", stack.base_url(), ""),
        ("API document", format!("{}{}", stack.base_url(), openapi::PAGE_PATH), ""),
        ("Telnyx", stack.telnyx().url(), "simulated"),
        ("Postgres", host(stack.database_url()), ""),
        ("tokens, URLs", env_file.clone(), "a file to source, for 12 hours"),
    ] {
        let remark = if remark.is_empty() { String::new() } else { colours.paint(Tone::Faint, format!("  {remark}")) };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {what:<14}{address}{remark}");
    }
    text.push_str(&COMMANDS.replace("{env_file}", &env_file));
    text
}

/// The host and the port of a database.
fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| Some(format!("{}:{}{}", url.host_str()?, url.port().unwrap_or(5432), url.path())));
    host.unwrap_or_default()
}

/// Commands that work one after the other.
const COMMANDS: &str = r#"
Search for a number and buy it, in another terminal:

  . {env_file}
  curl "$URL/phone-numbers-search?country_code=US&limit=3" -H "$AUTH"
  NUMBER=$(curl -s "$URL/phone-numbers-search?country_code=US&limit=1" \
    -H "$AUTH" | grep -o '+1[0-9]\{10\}' | head -n 1)
  curl "$URL/phone-numbers-purchase" -H "$AUTH" -H "$JSON" \
    -d '{"phone_numbers":[{"phone_number":"'$NUMBER'"}]}'

README.md tells the rest of the story. Requests are logged here:

"#;
