-- The purchases of each idempotency key: whoever repeats a request gets the purchases it began, not new ones.
--
-- No foreign keys: keys expire, and the ledger outlives them.
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

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_idempotency_purchases from %I', role_name);
  end loop;
end
$migration$;
