//! `cargo dev` without a subcommand: starts everything, prints the addresses, and stops it again.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use tokio::time::{Instant, timeout};

use super::stop_signals::StopSignals;
use super::{disk, files, progress, summary};
use crate::colours::Colours;
use crate::console::Console;
use crate::containers::Containers;
use crate::lambda::functions::{Logs, Readable, build};
use crate::lambda::template::Template;
use crate::postgres::{self, Server, connect, describe};
use crate::stack::{self, Stack};
use crate::{demo, migrations, telnyx_simulator, token, workspace};

/// The simulator's default port, used if it is free.
pub(super) const TELNYX_PORT: u16 = 9100;
/// The console's default port, used if it is free.
const CONSOLE_PORT: u16 = 9200;
/// The pause between two runs of `phone-numbers-reconcile`, which are minutes apart in AWS.
const SCHEDULE: Duration = Duration::from_secs(10);
/// The longest that a database that we did not start may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The name of the database on a server that we start.
const DATABASE: &str = "phone_numbers";

/// Options of `cargo dev` itself.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where the gateway listens on 127.0.0.1; 0 is any free port.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Where the Telnyx simulator listens; 0 is any free port [default: 9100, or a free one if that is taken].
    #[arg(long)]
    telnyx_port: Option<u16>,
    /// Where the console listens; 0 is any free port [default: 9200, or a free one if that is taken].
    #[arg(long)]
    console_port: Option<u16>,
    /// Keeps the database, the secrets and the files for other tools between runs [default: target/dev].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Start over with an empty database.
    #[arg(long)]
    fresh: bool,
    /// Build the functions optimised, as they are deployed.
    #[arg(long)]
    release: bool,
    /// The form of the functions' logs on standard error. Readable ones leave out what nobody asked for: preflights, and runs
    /// of reconcile that change nothing.
    #[arg(long, value_enum, default_value_t)]
    logs: LogFormat,
    /// Write a JSON file with every address, key and token once all functions answer.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Let Docker's containers reach Postgres and Telnyx too, at this machine's address on their network
    /// [default: 172.17.0.1]. `sam local` needs it.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = "172.17.0.1")]
    docker: Option<IpAddr>,
    /// Use this database instead of starting Postgres.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// A form of the functions' logs.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    /// One line a request, with colours on a terminal.
    #[default]
    Readable,
    /// Every line as the functions write it.
    Json,
}

/// The last part of `--help`.
pub(super) const FILES: &str = "\
Files in the data folder, written when all functions answer:
  env                      addresses and tokens, to source in a shell
  functions.env            for `cargo lambda watch --env-file`
  sam-env.json, events/    for `sam local --env-vars` and `--event`
  postgres/                the database, and its log

--ready-file has every address, key and token as JSON, and a URL for each function.
docs/development.md describes the simulator and its faults.";

impl Options {
    fn logs(&self) -> Logs {
        match self.logs {
            LogFormat::Readable => Logs::Readable(Readable::stderr()),
            LogFormat::Json => Logs::Stderr,
        }
    }

    fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| workspace::target().join("dev"))
    }
}

/// Everything that runs. It is dropped in the order of the fields.
struct Running {
    console: Console,
    stack: Stack,
    containers: Option<Containers>,
    server: Option<Server>,
}

pub(super) async fn run(arguments: &Options) -> Result<()> {
    let mut stop = StopSignals::listen()?;
    let running = tokio::select! {
        started = start(arguments) => started.map_err(|error| explained(arguments, error))?,
        // Everything started so far stops when it is dropped.
        () = stop.wait() => return Ok(()),
    };
    stop.wait().await;
    progress::step("Stopping", "everything");
    drop(running.console);
    running.stack.stop().await;
    drop(running.containers);
    if let Some(server) = running.server {
        server.stop();
    }
    Ok(())
}

/// An error with what to do if the reason is a full disk.
fn explained(arguments: &Options, error: anyhow::Error) -> anyhow::Error {
    match disk::advice(&error, &[arguments.data(), workspace::target()]) {
        Some(advice) => anyhow!("{error:#}\n{advice}"),
        None => error,
    }
}

async fn start(arguments: &Options) -> Result<Running> {
    let started = Instant::now();
    if let Some(path) = &arguments.ready_file {
        // A file of an earlier run would be read as ready.
        files::remove(path)?;
    }
    let asked = [
        ("--port", arguments.port),
        ("--telnyx-port", arguments.telnyx_port.unwrap_or(0)),
        ("--console-port", arguments.console_port.unwrap_or(0)),
    ];
    for (option, port) in asked {
        ensure!(port == 0 || is_free(port), "port {port} is in use: give another one with {option} (0 means any free one)");
    }
    let data = arguments.data();
    files::private_folder(&data)?;
    let template = Template::read(&workspace::root().join("template.yaml"))?;

    progress::step("Starting", "Postgres");
    let (server, database_url) = database(arguments, &data).await?;
    progress::step("Migrating", "the database");
    prepare(&database_url).await?;
    progress::step("Building", "the functions");
    let names: Vec<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let programs = build::build(&names, arguments.release).await?;
    progress::step("Starting", "the functions and the Telnyx simulator");
    let mut options = stack::Options::new(template, programs, database_url);
    options.port = arguments.port;
    options.telnyx.port = telnyx_port(arguments.telnyx_port);
    options.telnyx.api_key = files::secret(&data, "telnyx-api-key", || telnyx_simulator::Options::default().api_key)?;
    options.schedule = Some(SCHEDULE);
    options.logs = arguments.logs();
    options.webhooks = true;
    options.issuer = token::Issuer::new(files::secret(&data, "jwt-secret", || token::Issuer::default().secret)?);
    let stack = Stack::start(options).await?;
    stack.check().await?;
    let console = console(arguments.console_port, &stack).await?;

    let mut containers = arguments.docker.map(Containers::new);
    files::write(&stack, &console.url(), &data, containers.as_mut(), arguments.ready_file.as_deref()).await?;
    warn_of_unknown_numbers(&stack).await?;
    say(&summary::text(&stack, &console.url(), &data, started.elapsed(), Colours::of_stdout()));
    Ok(Running { console, stack, containers, server })
}

/// The database, and the server if we started it.
async fn database(arguments: &Options, data: &Path) -> Result<(Option<Server>, String)> {
    if let Some(url) = &arguments.database_url {
        // The environment may have it for another reason.
        let asked = || "--database-url, or DATABASE_URL in the environment, names this database";
        ensure!(!arguments.fresh, "--fresh empties only the database that cargo dev starts, not one that --database-url names");
        let url = postgres::connection::normalise(url).with_context(asked)?;
        let connected = timeout(CONNECT_TIMEOUT, connect(url.as_str())).await;
        connected.context("connecting to Postgres: no answer").flatten().with_context(asked)?;
        return Ok((None, url.into()));
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

/// Warns of rows from an earlier run: the database is kept between runs, the simulator's state is not.
async fn warn_of_unknown_numbers(stack: &Stack) -> Result<()> {
    let client = connect(stack.database_url()).await?;
    let statement = "select count(*) from agency_phone_numbers where status <> 'released'";
    let count: i64 = client.query_one(statement, &[]).await.map_err(|error| describe(&error))?.get(0);
    if count > 0 {
        progress::warn(&format!(
            "the database has {count} phone numbers of an earlier run, which the simulator does not have,\n         \
             because it starts without numbers; `cargo dev --fresh` starts over with both"
        ));
    }
    Ok(())
}

/// The console on the given port, or on the default one if it is free.
async fn console(asked: Option<u16>, stack: &Stack) -> Result<Console> {
    match asked {
        Some(port) => Console::start(port, stack).await,
        None => match Console::start(CONSOLE_PORT, stack).await {
            Ok(console) => Ok(console),
            Err(_) => Console::start(0, stack).await,
        },
    }
}

/// The given port, or the default one if it is free.
fn telnyx_port(asked: Option<u16>) -> u16 {
    asked.unwrap_or(if is_free(TELNYX_PORT) { TELNYX_PORT } else { 0 })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Prints to standard output. A closed pipe is not an error.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
