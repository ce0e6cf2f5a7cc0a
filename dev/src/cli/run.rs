//! `cargo dev` itself: starts everything, says where it is, and ends it again.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Run, StopSignals, files, summary};
use crate::containers::Containers;
use crate::lambda::functions::build;
use crate::lambda::template::Template;
use crate::postgres::{self, Server, connect, describe};
use crate::stack::{Options, Stack};
use crate::{demo, migrations, telnyx_simulator, token, workspace};

/// Where the simulator listens unless something else does.
pub(super) const TELNYX_PORT: u16 = 9100;
/// The pause between two runs of `phone-numbers-reconcile`, which are minutes apart in AWS.
const SCHEDULE: Duration = Duration::from_secs(10);
/// The database on a server of our own.
const DATABASE: &str = "phone_numbers";

/// Everything that runs. It ends in the order of the fields.
struct Running {
    stack: Stack,
    containers: Option<Containers>,
    server: Option<Server>,
}

pub(super) async fn run(arguments: &Run) -> Result<()> {
    let mut stop = StopSignals::listen()?;
    let running = tokio::select! {
        started = start(arguments) => started?,
        // What had been started by then ends as it is dropped.
        () = stop.wait() => return Ok(()),
    };
    stop.wait().await;
    progress("stopping");
    running.stack.stop().await;
    drop(running.containers);
    if let Some(server) = running.server {
        server.stop();
    }
    Ok(())
}

async fn start(arguments: &Run) -> Result<Running> {
    if let Some(path) = &arguments.ready_file {
        // One of an earlier run would say that we are ready.
        files::remove(path)?;
    }
    ensure!(
        arguments.port == 0 || is_free(arguments.port),
        "port {} is in use: give another one with --port (0 means any free one)",
        arguments.port
    );
    let data = arguments.data();
    files::private_folder(&data)?;
    let template = Template::read(&workspace::root().join("template.yaml"))?;

    progress("starting Postgres");
    let (server, database_url) = database(arguments, &data).await?;
    progress("migrating");
    prepare(&database_url).await?;
    progress("building the functions");
    let names: Vec<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let programs = build::build(&names, arguments.release).await?;
    progress("starting the functions");
    let mut options = Options::new(template, programs, database_url);
    options.port = arguments.port;
    options.telnyx.port = telnyx_port(arguments.telnyx_port);
    options.telnyx.api_key = files::secret(&data, "telnyx-api-key", || telnyx_simulator::Options::default().api_key)?;
    options.schedule = Some(SCHEDULE);
    options.webhooks = true;
    options.issuer = token::Issuer::new(files::secret(&data, "jwt-secret", || token::Issuer::default().secret)?);
    let stack = Stack::start(options).await?;
    stack.check().await?;

    let mut containers = arguments.docker.map(Containers::new);
    files::write(&stack, &data, containers.as_mut(), arguments.ready_file.as_deref()).await?;
    say(&summary::text(&stack, &data));
    warn_of_unknown_numbers(&stack).await?;
    Ok(Running { stack, containers, server })
}

/// The database, and the server if it is ours.
async fn database(arguments: &Run, data: &Path) -> Result<(Option<Server>, String)> {
    if let Some(url) = &arguments.database_url {
        ensure!(!arguments.fresh, "--fresh empties a database of our own, never one that --database-url names");
        return Ok((None, postgres::connection::normalise(url)?.into()));
    }
    let folder: PathBuf = data.join("postgres");
    if arguments.fresh {
        Server::forget(&folder).await?;
    }
    let server = Server::start(&folder).await?;
    server.ensure_database(DATABASE).await?;
    let url = server.url(DATABASE);
    Ok((Some(server), url))
}

async fn prepare(database_url: &str) -> Result<()> {
    migrations::platform(database_url).await?;
    migrations::run(database_url, Some(migrations::DEPLOYMENT)).await?;
    demo::seed(database_url).await
}

/// The simulator forgets when it ends, and a kept database does not.
async fn warn_of_unknown_numbers(stack: &Stack) -> Result<()> {
    let client = connect(stack.database_url()).await?;
    let statement = "select count(*) from agency_phone_numbers where status <> 'released'";
    let count: i64 = client.query_one(statement, &[]).await.map_err(|error| describe(&error))?.get(0);
    if count > 0 {
        say(&format!(
            "note: {count} phone numbers of an earlier run are in the database, and this Telnyx, which starts anew, \
             does not know them.\n      `cargo dev --fresh` starts over with both.\n\n"
        ));
    }
    Ok(())
}

/// The port asked for, or the default one if it is free.
fn telnyx_port(asked: Option<u16>) -> u16 {
    asked.unwrap_or(if is_free(TELNYX_PORT) { TELNYX_PORT } else { 0 })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Prints what is asked for, whether or not anybody still reads it: a closed pipe is no reason to stop.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

fn progress(what: &str) {
    eprintln!("cargo dev: {what}");
}
