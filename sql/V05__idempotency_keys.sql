-- Idempotency keys (draft-ietf-httpapi-idempotency-key-header).
--
-- No foreign keys: keys expire, and the ledger outlives them.

-- The first final answer to each key, kept for a day.
create table if not exists phone_number_idempotency_keys (
  agency_id uuid not null,
  function text not null,
  key text not null,
  request_hash bytea not null,
  status smallint,
  content_type text,
  body text,
  lease_token uuid,
  leased_until timestamptz,
  created_at timestamptz default now() not null,
  expires_at timestamptz not null,
  constraint phone_number_idempotency_keys_pkey
    primary key (agency_id, function, key),
  constraint phone_number_idempotency_keys_request_hash_is_sha256
    check (octet_length(request_hash) = 32),
  constraint phone_number_idempotency_keys_answer_is_whole
    check ((status is null) = (body is null) and (status is null) = (content_type is null)),
  constraint phone_number_idempotency_keys_answered_is_over
    check (status is null or lease_token is null),
  constraint phone_number_idempotency_keys_lease_is_whole
    check ((lease_token is null) = (leased_until is null))
);

create index if not exists idx_phone_number_idempotency_keys_expires_at
on phone_number_idempotency_keys (expires_at);

comment on table phone_number_idempotency_keys is
  'What a request with an Idempotency-Key was answered, so that its repetition is answered alike.';

comment on column phone_number_idempotency_keys.function is
  'The function that was asked: keys of different functions have nothing to do with each other.';

comment on column phone_number_idempotency_keys.request_hash is
  'SHA-256 of the request''s body in canonical form.';

comment on column phone_number_idempotency_keys.status is
  'The HTTP status of the final answer; null until there is one.';

comment on column phone_number_idempotency_keys.lease_token is
  'Who is working on the request; null when nobody is.';

comment on column phone_number_idempotency_keys.leased_until is
  'Until when, on the database''s clock. Past that, the same request may begin anew.';

-- The purchases of each key: a request that is repeated gets the purchases that it began, not new ones.
create table if not exists phone_number_idempotency_purchases (
  agency_id uuid not null,
  function text not null,
  key text not null,
  position smallint not null,
  purchase_id uuid,
  agency_phone_number_id uuid,
  listed_at timestamptz default now() not null,
  constraint phone_number_idempotency_purchases_pkey
    primary key (agency_id, function, key, position),
  constraint phone_number_idempotency_purchases_position_not_negative
    check (position >= 0),
  constraint phone_number_idempotency_purchases_purchase_or_row
    check ((purchase_id is null) <> (agency_phone_number_id is null))
);

comment on table phone_number_idempotency_purchases is
  'The purchase at each position of a request with an Idempotency-Key. Written in the transaction that begins the '
  'purchase, or when the request joins one; deleted together with the key.';

comment on column phone_number_idempotency_purchases.key is
  'Together with agency_id and function: the key in phone_number_idempotency_keys.';

comment on column phone_number_idempotency_purchases.position is
  'Index of the number in the request, from 0.';

comment on column phone_number_idempotency_purchases.purchase_id is
  'The purchase. A new attempt after a retryable failure replaces it.';

comment on column phone_number_idempotency_purchases.agency_phone_number_id is
  'The row, where the agency has the number already and the ledger has no purchase of it; null otherwise.';

comment on column phone_number_idempotency_purchases.listed_at is
  'When the purchase or the row was listed, on the database''s clock.';
