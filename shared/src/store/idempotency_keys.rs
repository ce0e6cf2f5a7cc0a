//! Idempotency keys: the first final answer to each, and a lease while a request is being worked on.

pub(super) mod purchases;

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, Caller};
use crate::store::callers::{AUTHORIZE, Lookup, actor, caller};
use crate::store::lease::{Fenced, Lease, Leased};
use crate::store::tenant::{Tenant, TenantRow};
use crate::store::{Parameter, Query, Store, millis};

pub use purchases::{KeyEntry, KeyPosition, Listed};

/// Whether an entry `i` of a key, with its purchase `p`, keeps the key from expiring: the purchase is unfinished, or it ended
/// less than the time to live ago. A row without a purchase counts from when it was listed.
macro_rules! keeps_key {
    ($ttl_ms:literal) => {
        concat!(
            "(
        p.phase in ('intended', 'ordering', 'ordered')
        or coalesce(p.completed_at, p.updated_at, i.listed_at) >= now() - ",
            $ttl_ms,
            "::bigint /* ttl_ms */ * interval '1 millisecond'
      )"
        )
    };
}

/// Takes a key for a request: one that is new, has expired, or whose last holder has died or left without an answer. An
/// expired key starts anew, without its answer and its purchases.
///
/// `lists` is read from the statement's snapshot, and may lack a purchase whose transaction this statement waits for. That
/// transaction has renewed the key's lease, so that the key is busy then and not expired.
const CLAIM: &str = concat!(
    "-- idempotency_keys.claim\n",
    caller!(),
    ", lists as (
  select exists (
    select
    from phone_number_idempotency_purchases i
    join caller c on c.agency_id = i.agency_id
    left join phone_number_purchases p on p.id = i.purchase_id
    where i.function = $3 /* function */
      and i.key = $4 /* key */
      and ",
    keeps_key!("$8"),
    "
  ) as keep_key
), claimed as (
  insert into phone_number_idempotency_keys as k
    (agency_id, function, key, request_hash, lease_token, leased_until, expires_at)
  select c.agency_id,
         $3,
         $4,
         $5 /* request_hash */,
         $6 /* lease_token */,
         now() + $7::bigint /* lease_ms */ * interval '1 millisecond',
         now() + $8 * interval '1 millisecond'
  from caller c
  on conflict (agency_id, function, key) do update
  set request_hash = excluded.request_hash,
      status = null,
      content_type = null,
      body = null,
      lease_token = excluded.lease_token,
      leased_until = excluded.leased_until,
      created_at =
        case when k.expires_at < now() and not (select l.keep_key from lists l) then excluded.created_at else k.created_at end,
      expires_at =
        case when k.expires_at < now() and not (select l.keep_key from lists l) then excluded.expires_at else k.expires_at end
  where (k.leased_until is null or k.leased_until < now() or k.lease_token = excluded.lease_token)
    and (
      (k.expires_at < now() and not (select l.keep_key from lists l))
      or (k.status is null and k.request_hash = excluded.request_hash)
    )
  returning k.agency_id, k.function, k.key, k.created_at = now() as is_new
), forgotten as (
  delete from phone_number_idempotency_purchases i
  using claimed c
  where i.agency_id = c.agency_id
    and i.function = c.function
    and i.key = c.key
    and c.is_new
)
select c.key
from claimed c"
);

/// The kept answer of a key, and its lease.
const GET: &str = concat!(
    "-- idempotency_keys.get\n",
    caller!(),
    "
select k.agency_id,
       k.request_hash,
       k.status,
       k.content_type,
       k.body,
       greatest(0, extract(epoch from k.leased_until - now()))::float8 as busy_for
from phone_number_idempotency_keys k
join caller c on c.agency_id = k.agency_id
where k.function = $3 /* function */
  and k.key = $4 /* key */"
);

const RENEW: &str = "\
-- idempotency_keys.renew
update phone_number_idempotency_keys k
set leased_until = now() + $5::bigint /* lease_ms */ * interval '1 millisecond'
where k.agency_id = $1 /* agency_id */
  and k.function = $2 /* function */
  and k.key = $3 /* key */
  and k.lease_token = $4 /* lease_token */
returning k.key";

/// Keeps the answer, for the holder of the key. It can be repeated over another connection.
const ANSWER: &str = "\
-- idempotency_keys.answer
update phone_number_idempotency_keys k
set status = $5 /* status */,
    content_type = $6 /* content_type */,
    body = $7 /* body */,
    lease_token = null,
    leased_until = null
where k.agency_id = $1 /* agency_id */
  and k.function = $2 /* function */
  and k.key = $3 /* key */
  and (k.lease_token = $4 /* lease_token */ or (k.status = $5 and k.content_type = $6 and k.body = $7))
returning k.key";

/// Gives the lease back without an answer, so that the same request can be made again.
const YIELD: &str = "\
-- idempotency_keys.yield
update phone_number_idempotency_keys k
set lease_token = null,
    leased_until = null
where k.agency_id = $1 /* agency_id */
  and k.function = $2 /* function */
  and k.key = $3 /* key */
  and k.lease_token = $4 /* lease_token */
returning k.key";

/// Deletes expired keys, and what they list.
const EXPIRE: &str = concat!(
    "\
-- idempotency_keys.expire
with expired as (
  select k.agency_id, k.function, k.key
  from phone_number_idempotency_keys k
  where k.expires_at < now()
    and (k.leased_until is null or k.leased_until < now())
    and not exists (
      select
      from phone_number_idempotency_purchases i
      left join phone_number_purchases p on p.id = i.purchase_id
      where i.agency_id = k.agency_id
        and i.function = k.function
        and i.key = k.key
        and ",
    keeps_key!("$2"),
    "
    )
  order by k.expires_at
  limit $1 /* limit */
  for update of k skip locked
), unlisted as (
  delete from phone_number_idempotency_purchases i
  using expired e
  where i.agency_id = e.agency_id
    and i.function = e.function
    and i.key = e.key
)
delete from phone_number_idempotency_keys k
using expired e
where k.agency_id = e.agency_id
  and k.function = e.function
  and k.key = e.key
returning k.key"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[CLAIM, GET, RENEW, ANSWER, YIELD, EXPIRE];

/// An idempotency key, as what a lease is of.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// The agency of the caller.
    pub agency_id: Uuid,
    /// The function that was called.
    pub function: &'static str,
    /// The key in the header.
    pub key: String,
}

impl Leased for IdempotencyKey {
    const RENEW: &'static str = RENEW;
    const YIELD: &'static str = YIELD;

    fn key(&self) -> Vec<&dyn Parameter> {
        vec![&self.agency_id, &self.function, &self.key]
    }
}

/// An answer that is kept for a key.
#[derive(Clone, Debug)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: i16,
    /// The type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// The use of a key by a request.
#[derive(Clone, Debug)]
pub struct KeyUse {
    /// The function that is called.
    pub function: &'static str,
    /// The key in the header.
    pub key: String,
    /// The SHA-256 of the request in canonical form.
    pub request_hash: [u8; 32],
    /// How long the key is leased.
    pub lease: Duration,
    /// How long it lives; see [`Store::expire_keys`].
    pub ttl: Duration,
}

/// A key that is held.
#[derive(Clone, Debug)]
pub struct HeldKey {
    /// Its lease.
    pub lease: Lease<IdempotencyKey>,
    /// What it lists, by position.
    pub listed: HashMap<i16, Listed>,
}

/// The state of a key, seen by a request that uses it.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// The lease is held: the request is to be worked on.
    Claimed(HeldKey),
    /// The same request was answered with this.
    Answered(KeptAnswer),
    /// The same request is being worked on; its lease ends after this long at the latest.
    Busy(Duration),
    /// It was used for another request.
    Reused,
}

impl Store {
    /// The caller, if permitted, the lease of a key for the caller's request, or why it cannot be taken, and what is looked up, or why
    /// that failed. One round trip.
    ///
    /// # Errors
    /// `Forbidden`: no such user, no agency, or not the role; `Unavailable` or `Internal` if a query of caller or key fails.
    pub async fn claim_key<T>(
        &self,
        caller: &Caller,
        key_use: &KeyUse,
        lookup: &Lookup<'_, T>,
    ) -> Result<(Actor, KeyState, Result<T, Error>), Error> {
        let Caller { user_id, roles } = caller;
        let KeyUse { function, key, request_hash, lease, ttl } = key_use;
        let (hash, token) = (request_hash.as_slice(), Uuid::new_v4());
        loop {
            let [callers, claimed, kept, listed, found] = self
                .run_each([
                    Query::new(AUTHORIZE, &[user_id, roles]),
                    Query::new(CLAIM, &[user_id, roles, function, key, &hash, &token, &millis(*lease), &millis(*ttl)]),
                    Query::new(GET, &[user_id, roles, function, key]),
                    Query::new(purchases::LISTED, &[user_id, roles, function, key]),
                    Query::new(lookup.sql, &[user_id, roles, &lookup.ids]),
                ])
                .await?;
            let actor = actor(caller, &callers?)?;
            let tenant = Tenant::from(&actor);
            let (claimed, kept, listed) = (claimed?, kept?, listed?);
            if !claimed.is_empty() {
                let of = IdempotencyKey { agency_id: actor.agency_id, function: key_use.function, key: key.clone() };
                let held = HeldKey { lease: Lease { of, token, duration: *lease }, listed: purchases::listed(tenant, &listed)? };
                return Ok((actor, KeyState::Claimed(held), lookup.found(tenant, found)));
            }
            // Gone between the two statements: then it can be had.
            let Some(row) = kept.first() else { continue };
            return Ok((actor, state(tenant.row(row)?, hash)?, lookup.found(tenant, found)));
        }
    }

    /// Keeps the final answer and gives the lease back.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn keep_answer(&self, lease: &Lease<IdempotencyKey>, answer: &KeptAnswer) -> Result<Fenced, Error> {
        let IdempotencyKey { agency_id, function, key } = &lease.of;
        let KeptAnswer { status, content_type, body } = answer;
        let kept = self.fenced(ANSWER, &[agency_id, function, key, &lease.token, status, content_type, body]).await?;
        kept.read(|_| Ok(()))
    }

    /// Deletes keys that have expired, `limit` at most, and returns how many it deleted. A key lives for `ttl` from its first
    /// request and, if that is later, for `ttl` from the end of the last purchase that it lists.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn expire_keys(&self, limit: i64, ttl: Duration) -> Result<usize, Error> {
        Ok(self.rows(EXPIRE, &[&limit, &millis(ttl)]).await?.len())
    }
}

/// The state of a key that cannot be taken for the request with this hash.
fn state(row: TenantRow<'_>, hash: &[u8]) -> Result<KeyState, Error> {
    if row.column::<&[u8]>("request_hash")? != hash {
        return Ok(KeyState::Reused);
    }
    if let Some(status) = row.column("status")? {
        return Ok(KeyState::Answered(KeptAnswer { status, content_type: row.column("content_type")?, body: row.column("body")? }));
    }
    let busy_for: Option<f64> = row.column("busy_for")?;
    Ok(KeyState::Busy(Duration::from_secs_f64(busy_for.unwrap_or_default())))
}
