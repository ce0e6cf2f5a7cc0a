//! The connections that instances hold at Postgres.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::postgres::describe;

/// How often they are counted. A second connection stays for a minute, and so is not missed.
const PAUSE: Duration = Duration::from_millis(20);

const HELD: &str = "\
select application_name, count(*)
from pg_stat_activity
where datname = current_database() and usename = $1 and backend_type = 'client backend'
group by application_name";

/// The connections of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// The most of all instances together.
    pub(super) most: usize,
    /// The most of one instance.
    pub(super) most_of_one: usize,
}

impl Held {
    /// The larger figures of two moments.
    pub(super) fn with(self, other: Self) -> Self {
        Self { most: self.most.max(other.most), most_of_one: self.most_of_one.max(other.most_of_one) }
    }
}

/// Counts the connections until it is told to stop.
pub(super) struct Watch {
    counting: JoinHandle<Result<Held>>,
    stop: oneshot::Sender<()>,
}

impl Watch {
    /// Watches the connections of a login to the database that `database` is connected to.
    pub(super) fn start(database: Client, login: String) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let counting = tokio::spawn(async move {
            let mut most = Held::default();
            while matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                most = most.with(held(&database, &login).await?);
                sleep(PAUSE).await;
            }
            Ok(most)
        });
        Self { counting, stop }
    }

    /// The most that there were at any time.
    pub(super) async fn end(self) -> Result<Held> {
        let _ = self.stop.send(());
        self.counting.await?
    }
}

/// The connections that a login holds now. Each instance has an application name of its own.
pub(super) async fn held(database: &Client, login: &str) -> Result<Held> {
    let rows = database.query(HELD, &[&login]).await.map_err(|error| describe(&error))?;
    let counts = rows.iter().map(|row| Ok((row.try_get(0)?, usize::try_from(row.try_get::<_, i64>(1)?)?)));
    let counts: BTreeMap<String, usize> = counts.collect::<Result<_>>()?;
    Ok(Held { most: counts.values().sum(), most_of_one: counts.values().copied().max().unwrap_or_default() })
}
