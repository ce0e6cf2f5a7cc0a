-- Idempotency keys (draft-ietf-httpapi-idempotency-key-header): the first final answer to each key, for a day.
do $migration$
declare
  home text;
  role_name text;
begin
  select c.relnamespace::regnamespace::text
  into home
  from pg_class as c
  where c.oid = to_regclass('agency_phone_numbers');

  if home is null then
    raise exception using
      errcode = 'undefined_table',
      message = 'table agency_phone_numbers does not exist: the migrations run in the order of their names';
  end if;

  -- For this transaction: beside the platform's tables, with uuid_generate_v4() found wherever it was installed.
  perform set_config(
    'search_path',
    concat_ws(
      ', ',
      home,
      nullif(current_setting('search_path'), ''),
      (
        select min(p.pronamespace::regnamespace::text)
        from pg_proc as p
        where p.proname = 'uuid_generate_v4'
          and p.pronargs = 0
      )
    ),
    true
  );

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

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_idempotency_keys from %I', role_name);
  end loop;
end
$migration$;
