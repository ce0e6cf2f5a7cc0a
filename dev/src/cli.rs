//! The command line.

mod accounts;
mod chaos;
mod deployment;
mod files;
mod findings;
mod run;
mod summary;

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::affected::Workspace;
use crate::chaos::Options as ChaosOptions;
use crate::lambda::functions::Logs;
use crate::postgres::logins;
use crate::telnyx_simulator::{self, Simulator};
use crate::{migrations, workspace};

/// Runs the phone-number functions on this machine: Postgres, a Telnyx simulator, the functions as Lambda would run
/// them, and a gateway before them.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Applies the migrations in sql/ to a database.
    Migrate {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// The deployment that the database belongs to: what the functions' setting DEPLOYMENT says. A database without a
        /// name gets this one; one that belongs to another deployment is left alone.
        #[arg(long, value_name = "NAME", env = "DEPLOYMENT")]
        deployment: Option<String>,
        /// Also create the platform's tables (agencies, users, `agent_mappings`) where they are missing.
        #[arg(long)]
        platform: bool,
    },
    /// Shows which deployment a database belongs to, or gives a copied database a name of its own.
    Deployment {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
        database_url: Option<String>,
        #[command(subcommand)]
        change: Option<deployment::Change>,
    },
    /// Makes the logins that the functions connect to a migrated database with, or gives them new passwords, and prints their URLs.
    Logins {
        /// Such as <postgres://user:password@host:5432/database>, as the owner of the tables.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
    },
    /// Shows the Telnyx accounts that a database names, or renames one.
    Accounts {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
        database_url: Option<String>,
        #[command(subcommand)]
        change: Option<accounts::Change>,
    },
    /// Runs the Telnyx simulator alone.
    Telnyx {
        /// Where it listens on 127.0.0.1; 0 is any free port.
        #[arg(long, default_value_t = run::TELNYX_PORT)]
        port: u16,
    },
    /// Lists what a comparison with Telnyx has left to a person, or decides one of these findings.
    Findings {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
        database_url: Option<String>,
        #[command(subcommand)]
        decision: Option<findings::Decision>,
    },
    /// Has agencies buy and release the same few numbers while everything breaks at random, and counts what is lost, bought
    /// twice, with another owner, stuck, or missing from the history: as JSON, on the last line.
    Chaos {
        /// How many runs.
        #[arg(long, default_value_t = 100)]
        runs: u64,
        /// What happens in each run depends on this and the run's number alone.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The number of the first run: with `--runs 1`, that one again.
        #[arg(long, value_name = "RUN", default_value_t = 0)]
        first: u64,
        /// Build the functions as they are deployed: optimised.
        #[arg(long)]
        release: bool,
        /// Where the functions' logs go.
        #[arg(long, value_name = "PATH", default_value = "/dev/null")]
        log: PathBuf,
    },
    /// Lists the functions whose artifacts a committed change affects.
    #[command(alias = "touched")]
    Affected {
        /// The revision before the change. Without it, every function is listed.
        #[arg(long, value_name = "REV")]
        base: Option<String>,
        /// Print JSON, with the digest of each artifact's ingredients.
        #[arg(long)]
        json: bool,
    },
}

/// Options of `cargo dev` itself.
#[derive(Debug, Args)]
struct Run {
    /// Where the gateway listens on 127.0.0.1; 0 is any free port.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Where the Telnyx simulator listens; 0 is any free port [default: 9100, or a free one if that is taken].
    #[arg(long)]
    telnyx_port: Option<u16>,
    /// Keeps the database and the secrets between runs [default: target/dev].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Start over with an empty database.
    #[arg(long)]
    fresh: bool,
    /// Build the functions as they are deployed: optimised.
    #[arg(long)]
    release: bool,
    /// Write a JSON file with every address, key and token once all functions answer.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Let Docker's containers reach Postgres and Telnyx too, at this machine's address on their network
    /// [default: 172.17.0.1]. `sam local` needs it.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = "172.17.0.1")]
    docker: Option<IpAddr>,
    /// Use this database instead of a Postgres of our own.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

impl Run {
    fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| workspace::target().join("dev"))
    }
}

/// Does what the command line says. Ctrl-C and SIGTERM end what would run for ever, in order and with success.
///
/// # Errors
/// With all that the user needs to know.
pub async fn run() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        None => run::run(&arguments.run).await,
        Some(Command::Migrate { database_url, deployment, platform }) => migrate(&database_url, deployment.as_deref(), platform).await,
        Some(Command::Deployment { database_url, change }) => deployment::run(&named(database_url)?, change).await,
        Some(Command::Logins { database_url }) => renew_logins(&database_url).await,
        Some(Command::Accounts { database_url, change }) => accounts::run(&named(database_url)?, change).await,
        Some(Command::Telnyx { port }) => simulate(port).await,
        Some(Command::Findings { database_url, decision }) => findings::run(&named(database_url)?, decision).await,
        Some(Command::Chaos { runs, seed, first, release, log }) => {
            Box::pin(chaos(ChaosOptions { seed, first, runs, release, logs: Logs::File(log) })).await
        }
        Some(Command::Affected { base, json }) => affected(base.as_deref(), json),
    }
}

/// Ctrl-C, SIGTERM, and the end of the terminal.
struct StopSignals([Signal; 3]);

impl StopSignals {
    /// From here on these signals no longer end the process by themselves.
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    /// Waits for one.
    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

async fn renew_logins(database_url: &str) -> Result<()> {
    for (login, url) in logins::renew(database_url).await? {
        println!("{:<21} {url}", login.role());
    }
    Ok(())
}

fn named(database_url: Option<String>) -> Result<String> {
    database_url.context("name the database with --database-url")
}

async fn migrate(database_url: &str, deployment: Option<&str>, platform: bool) -> Result<()> {
    if platform {
        migrations::platform(database_url).await?;
        println!("the platform's tables are there");
    }
    let applied = migrations::run(database_url, deployment).await?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("nothing to apply");
    }
    Ok(())
}

/// A signal ends it early, and everything with it.
async fn chaos(options: ChaosOptions) -> Result<()> {
    let mut stop = StopSignals::listen()?;
    tokio::select! {
        done = chaos::run(&options) => done,
        () = stop.wait() => bail!("stopped before its end"),
    }
}

fn affected(base: Option<&str>, json: bool) -> Result<()> {
    let workspace = Workspace::read(&workspace::root())?;
    let artifacts = base.map_or_else(|| workspace.artifacts(), |base| workspace.affected(base))?;
    if json {
        println!("{}", serde_json::to_string(&artifacts)?);
    } else {
        for artifact in artifacts {
            println!("{}", artifact.name);
        }
    }
    Ok(())
}

async fn simulate(port: u16) -> Result<()> {
    let mut stop = StopSignals::listen()?;
    let options = telnyx_simulator::Options { port, ..telnyx_simulator::Options::default() };
    let simulator = Simulator::start(options).await?;
    println!("url      {}", simulator.url());
    println!("key      {}", simulator.api_key());
    println!("control  {}", simulator.control_url());
    stop.wait().await;
    Ok(())
}
