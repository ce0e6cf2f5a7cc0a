//! What `cargo dev` prints once everything answers.

use std::fmt::Write;
use std::path::Path;

use uuid::Uuid;

use super::files;
use crate::stack::Stack;
use crate::{demo, openapi};

/// Addresses, tokens, and commands to copy.
pub(super) fn text(stack: &Stack, console_url: &str, data: &Path) -> String {
    let mut text = String::from("\nReady.\n\n");
    let mut line = |what: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {what:<28} {value}");
    };
    line("console", console_url);
    line("gateway", &stack.base_url());
    line("documentation", &format!("{}{}", stack.base_url(), openapi::PAGE_PATH));
    for (name, url) in stack.function_urls() {
        line(&name, &url);
    }
    line("Telnyx", &stack.telnyx().url());
    line("Telnyx, its controls", &stack.telnyx().control_url());
    line("Telnyx, its key", stack.telnyx().api_key());
    line("database", stack.database_url());
    line("for sam local", &format!("{0}/sam-env.json and {0}/events/", data.display()));
    line("for cargo lambda watch", &format!("{}/functions.env", data.display()));
    text.push_str("\nTokens, valid for 12 hours:\n\n");
    for (user, token) in files::tokens(stack) {
        let _ = writeln!(text, "{}={token}", user.to_uppercase());
    }
    let agents = demo::agents_of(demo::DEMO.id);
    let example = EXAMPLE
        .replace("{base}", &stack.base_url())
        .replace("{agent}", &agents.first().map(Uuid::to_string).unwrap_or_default())
        .replace("{another_agent}", &agents.last().map(Uuid::to_string).unwrap_or_default());
    text.push_str(&example);
    text
}

/// Commands that work one after the other in a shell that has the tokens above.
const EXAMPLE: &str = r#"
Search, buy, list, assign, unassign and release, once those lines are in your shell:

AUTH="authorization: Bearer $OWNER"; JSON="content-type: application/json"
curl -s "{base}/phone-numbers-search?country_code=US&area_code=312&limit=3" -H "$AUTH"
NUMBER=$(curl -s "{base}/phone-numbers-search?country_code=US&area_code=312&limit=1" -H "$AUTH" | grep -o '+1312[0-9]\{7\}' | head -n 1)
curl -s {base}/phone-numbers-purchase -H "$AUTH" -H "$JSON" -d '{"phone_numbers":[{"phone_number":"'$NUMBER'","friendly_name":"Main line","agent_mapping_id":"{agent}"}]}'
curl -s "{base}/phone-numbers-list?include_agents=true" -H "$AUTH"
ID=$(curl -s -G {base}/phone-numbers-list --data-urlencode "search=$NUMBER" -H "$AUTH" | grep -o '"id":"[^"]*"' | head -n 1 | cut -d '"' -f 4)
curl -s {base}/phone-numbers-assign -H "$AUTH" -H "$JSON" -d '{"phone_number_id":"'$ID'","agent_mapping_id":"{another_agent}"}'
curl -s -X DELETE "{base}/phone-numbers-assign?phone_number_id=$ID" -H "$AUTH"
curl -s {base}/phone-numbers-release -H "$AUTH" -H "$JSON" -d '{"phone_number_ids":["'$ID'"],"confirm":true}'

"#;
