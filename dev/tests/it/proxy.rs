//! A way to the database that breaks where a test wants it to: on a statement's way there, or on its answer's way back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::world::World;

/// Where a statement is when its connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// On its way: the database never hears of it.
    Before,
    /// Done and committed: its answer never arrives.
    After,
}

/// How the connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is closed, as by a failover.
    Cut,
    /// Nothing comes any more, as from a machine that is gone.
    Silence,
}

struct Trap {
    statement: &'static str,
    moment: Moment,
    ending: Ending,
    times: usize,
}

struct Shared {
    port: u16,
    traps: Mutex<Vec<Trap>>,
    sprung: AtomicUsize,
    /// Counts the times that everything was cut; None refuses new connections.
    epoch: watch::Sender<Option<u64>>,
}

/// Stands between the functions and the database until it is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Proxy {
    /// From here on, the functions of `world` reach its database through a proxy.
    pub(crate) async fn before_the_database_of(world: &mut World) -> Self {
        let mut url = reqwest::Url::parse(world.database.url()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = url.port().unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        world.set("DATABASE_URL", url.as_str());
        let shared = Arc::new(Shared { port, traps: Mutex::default(), sprung: AtomicUsize::new(0), epoch: watch::channel(Some(0)).0 });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, Arc::clone(&serving)));
            }
        });
        Self { shared, task: task.abort_handle() }
    }

    /// Breaks the connection of the statement of this name, the next `times` that it is sent over a new connection.
    pub(crate) fn trap(&self, statement: &'static str, moment: Moment, ending: Ending, times: usize) {
        self.shared.traps.lock().unwrap().push(Trap { statement, moment, ending, times });
    }

    /// How often a trap has struck.
    pub(crate) fn sprung(&self) -> usize {
        self.shared.sprung.load(Ordering::SeqCst)
    }

    /// Closes every connection there is.
    pub(crate) fn cut_all(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch = epoch.map(|count| count + 1));
    }

    /// Closes every connection, and lets nobody in.
    pub(crate) fn shut(&self) {
        self.shared.epoch.send_replace(None);
    }

    /// Lets everybody in again.
    pub(crate) fn open(&self) {
        self.shared.epoch.send_replace(Some(1_000_000));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.epoch.send_replace(None);
    }
}

impl Shared {
    /// The trap for a statement whose text is in `bytes`.
    fn trap_in(&self, bytes: &[u8]) -> Option<(Moment, Ending)> {
        let mut traps = self.traps.lock().unwrap();
        let names = |trap: &&mut Trap| {
            let name = format!("-- {}\n", trap.statement);
            trap.times > 0 && bytes.windows(name.len()).any(|window| window == name.as_bytes())
        };
        let trap = traps.iter_mut().find(names)?;
        trap.times -= 1;
        Some((trap.moment, trap.ending))
    }
}

async fn pass(mut client: TcpStream, shared: Arc<Shared>) {
    let mut epoch = shared.epoch.subscribe();
    if epoch.borrow_and_update().is_none() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", shared.port)).await else { return };
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // A statement's text comes first, to be prepared; what is sent next is its execution.
    let mut armed = None;
    loop {
        tokio::select! {
            _ = epoch.changed() => return,
            Ok(count) = client.read(&mut asked) => {
                let bytes = &asked[..count];
                if let Some((moment, ending)) = armed.take().filter(|_| count > 0) {
                    if moment == Moment::After {
                        let _ = server.write_all(bytes).await;
                        // Answered is committed.
                        let _ = server.read(&mut answered).await;
                    }
                    shared.sprung.fetch_add(1, Ordering::SeqCst);
                    if ending == Ending::Silence {
                        let _ = epoch.changed().await;
                    }
                    return;
                }
                if count == 0 || server.write_all(bytes).await.is_err() {
                    return;
                }
                armed = shared.trap_in(bytes);
            }
            Ok(count) = server.read(&mut answered) => {
                if count == 0 || client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}
