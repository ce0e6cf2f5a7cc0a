//! The command line.

mod accounts;
mod bench;
mod chaos;
mod deployment;
mod disk;
mod env_file;
mod files;
mod findings;
mod instances;
mod progress;
mod run;
mod stop_signals;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use self::stop_signals::StopSignals;
use crate::affected::Workspace;
use crate::bench::Options as BenchOptions;
use crate::chaos::Options as ChaosOptions;
use crate::lambda::functions::Logs;
use crate::populate::Scale;
use crate::postgres::connection::normalise;
use crate::postgres::logins;
use crate::telnyx_simulator::{self, Simulator};
use crate::{flatness, migrations, openapi, populate, workspace};

/// Runs the phone-number functions on this machine: Postgres, a Telnyx simulator, the functions as Lambda would run
/// them, and a gateway before them.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version, args_conflicts_with_subcommands = true, after_help = run::FILES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Applies the migrations in sql/ to a database.
    Migrate {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// The deployment that the database belongs to: the functions' setting DEPLOYMENT. A database without a
        /// name gets this one; one that belongs to another deployment stays unchanged.
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
    /// Lists the findings of the comparison with Telnyx that need an operator, or decides one.
    Findings {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
        database_url: Option<String>,
        #[command(subcommand)]
        decision: Option<findings::Decision>,
    },
    /// Lets agencies buy and release the same few numbers under random faults, and counts what is lost, bought twice, with
    /// another owner, stuck, or missing from the history. The last line is JSON.
    Chaos {
        /// The number of runs.
        #[arg(long, default_value_t = 100)]
        runs: u64,
        /// The plan of each run depends on the seed and the run's number only.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The number of the first run. With `--runs 1`, repeats that run.
        #[arg(long, value_name = "RUN", default_value_t = 0)]
        first: u64,
        /// Build the functions optimised, as they are deployed.
        #[arg(long)]
        release: bool,
        /// Destination of the functions' logs.
        #[arg(long, value_name = "PATH", default_value = "/dev/null")]
        log: PathBuf,
    },
    /// Measures start, latency, CPU time, memory, size and round trips to Postgres of the functions as they are deployed, beside
    /// programs to compare with, and fails if a bar is missed. Needs Linux. See docs/performance.md.
    Bench {
        /// Measure for two minutes, not counting builds.
        #[arg(long)]
        quick: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// Also measure list without prepared statements, and behind PgBouncer.
        #[arg(long)]
        pooler: bool,
        /// Measure these functions only, list among them, beside the references.
        #[arg(value_name = "FUNCTION")]
        functions: Vec<String>,
    },
    /// Keeps 1 to 64 instances of list, and then of purchase, busy at once against one Postgres and the Telnyx simulator. Prints
    /// calls a second, latency, errors, connections and CPUs of each step, and fails if there was an error, a violated invariant, or
    /// an instance with more connections than documented. See docs/performance.md.
    Instances {
        /// How long each step keeps its instances busy: at most 20, since the simulator has some 4,500 numbers to sell.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
        seconds: u64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Fills a migrated, empty database with agencies and numbers, to try how large tenants and tables behave. Needs a superuser.
    Populate {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        #[command(flatten)]
        scale: Scale,
    },
    /// Compares how long each operation takes for the largest agency and for one with 1,000 numbers, on a database that `populate`
    /// has filled. Changes some of its rows.
    Flatness {
        /// Such as <postgres://user:password@host:5432/database>.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// How many times each operation is done for each agency.
        #[arg(long, default_value_t = 200)]
        rounds: usize,
    },
    /// Prints docs/openapi.json, the description of the HTTP API.
    Openapi,
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

/// Runs the command, and prints why it failed. Ctrl-C and SIGTERM stop a command that would otherwise run forever, orderly and with success.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match command(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::fail(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn command(arguments: Arguments) -> Result<()> {
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
        Some(Command::Bench { quick, json, pooler, functions }) => bench::run(BenchOptions { quick, functions, pooler }, json).await,
        Some(Command::Instances { seconds, json }) => instances::run(Duration::from_secs(seconds), json).await,
        Some(Command::Populate { database_url, scale }) => populate::populate(&database_url, scale, |step| println!("{step}")).await,
        Some(Command::Flatness { database_url, rounds }) => {
            let url = normalise(&database_url)?;
            print!("{}", flatness::table(&Box::pin(flatness::measure(url.as_str(), rounds)).await?));
            Ok(())
        }
        Some(Command::Openapi) => {
            print!("{}", openapi::text());
            Ok(())
        }
        Some(Command::Affected { base, json }) => affected(base.as_deref(), json),
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

/// A signal stops it and all that it started.
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
