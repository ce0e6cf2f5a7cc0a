//! A foreign client behind a pooler, which gets the connections of the functions in turn with them.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dev::postgres::connect;
use dev::postgres::logins::Login;
use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::{Client, SimpleQueryMessage};

/// What a session has: the limits of the login, and what is set beside them. The pooler sets the first settings itself, as each
/// of its clients has them.
const SESSION: &str = "\
select concat_ws(' ',
  current_setting('statement_timeout'),
  current_setting('lock_timeout'),
  current_setting('idle_in_transaction_session_timeout'),
  nullif(current_setting('phone_numbers.actor', true), ''),
  nullif(current_setting('phone_numbers.ledger', true), ''),
  nullif(current_setting('phone_numbers.event', true), ''),
  (select string_agg(s.name, ' ')
   from pg_settings as s
   where s.source = 'session'
     and s.name not in ('application_name', 'client_encoding', 'DateStyle', 'standard_conforming_strings', 'TimeZone')),
  (select string_agg(p.name, ' ') from pg_prepared_statements as p where p.name <> ''),
  (select 'locks' where exists (select from pg_locks as l where l.locktype = 'advisory' and l.pid = pg_backend_pid())))";
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A client of each pool of the functions' logins.
pub(crate) struct ForeignClient(Vec<Client>);

impl ForeignClient {
    /// Connects to a database at its URL through the pooler.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let urls = Login::ALL.into_iter().map(|login| login.url(url)).collect::<Result<Vec<_>>>()?;
        Ok(Self(try_join_all(urls.iter().map(|url| connect(url))).await?))
    }

    /// Insists that nothing of the functions is set in its sessions. An error is that of a connection that was lost.
    pub(crate) async fn look(&self) -> Result<()> {
        for client in &self.0 {
            let messages = client.simple_query(SESSION).await?;
            let row = messages.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
            let session = row.and_then(|row| row.get(0)).context("a session says nothing")?;
            assert_eq!(session, "7s 5s 5s", "a foreign client finds this in its session");
        }
        Ok(())
    }
}

/// A foreign client that looks at its sessions until the value is dropped, which fails if it found something.
pub(crate) struct Watch(JoinHandle<Infallible>);

impl Watch {
    /// Starts it for a database at its URL through the pooler.
    pub(crate) fn start(url: &str) -> Self {
        let url = url.to_owned();
        Self(tokio::spawn(async move {
            loop {
                // Tests also end connections, and the client begins anew.
                if let Ok(client) = ForeignClient::connect(&url).await {
                    while client.look().await.is_ok() {
                        sleep(PAUSE).await;
                    }
                }
                sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It ends by a panic alone.
        let found = self.0.is_finished();
        self.0.abort();
        assert!(!found || std::thread::panicking(), "a foreign client has found something in its session");
    }
}
