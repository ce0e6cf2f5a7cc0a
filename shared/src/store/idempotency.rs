//! Idempotency keys: the first final answer to each, under a lease while it is being worked out.

use std::time::Duration;

use uuid::Uuid;

use super::{Store, column, millis};
use crate::error::Error;

/// Takes a key for a request: one that is new, has expired, or whose last holder has died or left without an answer.
const CLAIM: &str = "\
-- idempotency.claim
insert into phone_number_idempotency_keys as k
  (agency_id, function, key, request_hash, lease_token, leased_until, expires_at)
values ($1 /* agency_id */, $2 /* function */, $3 /* key */, $4 /* request_hash */, $5 /* lease_token */,
        now() + $6::bigint /* lease_ms */ * interval '1 millisecond',
        now() + $7::bigint /* ttl_ms */ * interval '1 millisecond')
on conflict (agency_id, function, key) do update
set request_hash = excluded.request_hash,
    status = null,
    content_type = null,
    body = null,
    lease_token = excluded.lease_token,
    leased_until = excluded.leased_until,
    created_at = case when k.expires_at < now() then excluded.created_at else k.created_at end,
    expires_at = case when k.expires_at < now() then excluded.expires_at else k.expires_at end
where (k.expires_at < now() and (k.leased_until is null or k.leased_until < now()))
  or (
    k.status is null
    and k.request_hash = excluded.request_hash
    and (k.leased_until is null or k.leased_until < now() or k.lease_token = excluded.lease_token)
  )
returning k.key";

/// What is kept for a key.
const GET: &str = "\
-- idempotency.get
select k.request_hash,
       k.status,
       k.content_type,
       k.body,
       greatest(0, extract(epoch from k.leased_until - now()))::float8 as busy_for
from phone_number_idempotency_keys k
where k.agency_id = $1 /* agency_id */
  and k.function = $2 /* function */
  and k.key = $3 /* key */";

const RENEW: &str = "\
-- idempotency.renew
update phone_number_idempotency_keys k
set leased_until = now() + $5::bigint /* lease_ms */ * interval '1 millisecond'
where k.agency_id = $1 /* agency_id */
  and k.function = $2 /* function */
  and k.key = $3 /* key */
  and k.lease_token = $4 /* lease_token */
returning k.key";

/// Keeps the answer, for whoever holds the key. Doing so again over another connection is no loss.
const ANSWER: &str = "\
-- idempotency.answer
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

/// Lets the same request be made again.
const YIELD: &str = "\
-- idempotency.yield
update phone_number_idempotency_keys k
set lease_token = null,
    leased_until = null
where k.agency_id = $1 /* agency_id */
  and k.function = $2 /* function */
  and k.key = $3 /* key */
  and k.lease_token = $4 /* lease_token */
returning k.key";

/// Forgets keys whose time is over.
const EXPIRE: &str = "\
-- idempotency.expire
with expired as (
  select k.agency_id, k.function, k.key
  from phone_number_idempotency_keys k
  where k.expires_at < now()
    and (k.leased_until is null or k.leased_until < now())
  order by k.expires_at
  limit $1 /* limit */
  for update skip locked
)
delete from phone_number_idempotency_keys k
using expired e
where k.agency_id = e.agency_id
  and k.function = e.function
  and k.key = e.key
returning k.key";

pub(super) const STATEMENTS: &[&str] = &[CLAIM, GET, RENEW, ANSWER, YIELD, EXPIRE];

/// A key in the hands of somebody who works on its request.
#[derive(Clone, Debug)]
pub struct KeyClaim {
    /// The agency whose key it is.
    pub agency_id: Uuid,
    /// The function that was asked.
    pub function: &'static str,
    /// The key.
    pub key: String,
    /// SHA-256 of the request in canonical form.
    pub request_hash: [u8; 32],
    /// The holder's own token.
    pub token: Uuid,
    /// How long it is held without a renewal.
    pub lease: Duration,
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

/// What is known of a key.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// It is ours: the request is to be worked on.
    Claimed,
    /// The same request was answered with this.
    Answered(KeptAnswer),
    /// The same request is being worked on; its lease ends after this long at the latest.
    Busy(Duration),
    /// It was used for another request.
    Reused,
}

impl Store {
    /// Takes a key, or tells why it cannot be had. An answer is kept for `ttl`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn claim_key(&self, claim: &KeyClaim, ttl: Duration) -> Result<KeyState, Error> {
        let KeyClaim { agency_id, function, key, request_hash, token, lease } = claim;
        let hash = request_hash.as_slice();
        loop {
            if self.row(CLAIM, &[agency_id, function, key, &hash, token, &millis(*lease), &millis(ttl)]).await?.is_some() {
                return Ok(KeyState::Claimed);
            }
            // Gone between the two statements: then it can be had.
            let Some(row) = self.row(GET, &[agency_id, function, key]).await? else { continue };
            if column::<&[u8]>(&row, "request_hash")? != hash {
                return Ok(KeyState::Reused);
            }
            if let Some(status) = column(&row, "status")? {
                return Ok(KeyState::Answered(KeptAnswer {
                    status,
                    content_type: column(&row, "content_type")?,
                    body: column(&row, "body")?,
                }));
            }
            let busy_for: Option<f64> = column(&row, "busy_for")?;
            return Ok(KeyState::Busy(Duration::from_secs_f64(busy_for.unwrap_or_default())));
        }
    }

    /// Prolongs the hold on a key; false when it is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn renew_key(&self, claim: &KeyClaim) -> Result<bool, Error> {
        self.fenced(RENEW, &[&claim.agency_id, &claim.function, &claim.key, &claim.token, &millis(claim.lease)]).await
    }

    /// Keeps the final answer; false when the hold on the key is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn keep_answer(&self, claim: &KeyClaim, answer: &KeptAnswer) -> Result<bool, Error> {
        let KeptAnswer { status, content_type, body } = answer;
        self.fenced(ANSWER, &[&claim.agency_id, &claim.function, &claim.key, &claim.token, status, content_type, body]).await
    }

    /// Lets a key go without an answer, so that the same request can be made again at once.
    ///
    /// # Errors
    /// The database's own.
    pub async fn yield_key(&self, claim: &KeyClaim) -> Result<(), Error> {
        self.fenced(YIELD, &[&claim.agency_id, &claim.function, &claim.key, &claim.token]).await.map(|_| ())
    }

    /// Forgets keys whose time is over, `limit` at the most; how many.
    ///
    /// # Errors
    /// The database's own.
    pub async fn expire_keys(&self, limit: i64) -> Result<usize, Error> {
        Ok(self.rows(EXPIRE, &[&limit]).await?.len())
    }
}
