-- The ledger of purchases: one row per attempt to buy one number, written before Telnyx hears of it.
--
-- It has no foreign keys on purpose. A ledger says what happened with money, and outlives the number's row, the agency
-- and the user that it speaks of.
do $migration$
declare
  home text;
  missing text;
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

  -- A relation of this name that is not our table stops us before anything is created.
  if to_regclass(home || '.phone_number_purchases') is not null then
    select string_agg(format('%s %s', c.name, c.type), ', ')
    into missing
    from (values
      ('id', 'uuid'),
      ('order_id', 'uuid'),
      ('agency_id', 'uuid'),
      ('agency_phone_number_id', 'uuid'),
      ('phone_number', 'character varying(20)'),
      ('telnyx_account', 'text'),
      ('connection_id', 'text'),
      ('telnyx_order_id', 'text'),
      ('telnyx_phone_number_id', 'text'),
      ('number_type', 'character varying(50)'),
      ('country_code', 'character varying(5)'),
      ('features', 'text[]'),
      ('monthly_cost', 'numeric(10,4)'),
      ('upfront_cost', 'numeric(10,4)'),
      ('currency', 'character varying(3)'),
      ('requirements_met', 'boolean'),
      ('caller_id', 'uuid'),
      ('customer_reference', 'text'),
      ('phase', 'text'),
      ('order_attempts', 'integer'),
      ('order_missed_at', 'timestamp with time zone'),
      ('failure_code', 'text'),
      ('failure_detail', 'text'),
      ('lease_token', 'uuid'),
      ('leased_until', 'timestamp with time zone'),
      ('created_at', 'timestamp with time zone'),
      ('updated_at', 'timestamp with time zone'),
      ('completed_at', 'timestamp with time zone')
    ) as c (name, type)
    where not exists (
      select
      from pg_attribute as a
      join pg_class as r
        on r.oid = a.attrelid
        and r.relkind in ('r', 'p')
      where a.attrelid = to_regclass(home || '.phone_number_purchases')
        and a.attname = c.name
        and format_type(a.atttypid, a.atttypmod) = c.type
        and not a.attisdropped
    );

    if missing is not null then
      raise exception using
        errcode = 'object_not_in_prerequisite_state',
        message = format(
          'this database contradicts the migration, which has changed nothing: found phone_number_purchases without %s',
          missing
        );
    end if;
  end if;

  create table if not exists phone_number_purchases (
    id uuid default uuid_generate_v4() not null,
    order_id uuid not null,
    agency_id uuid not null,
    agency_phone_number_id uuid not null,
    phone_number varchar(20) not null,
    telnyx_account text not null,
    connection_id text,
    telnyx_order_id text,
    telnyx_phone_number_id text,
    number_type varchar(50),
    country_code varchar(5),
    features text[],
    monthly_cost numeric(10, 4),
    upfront_cost numeric(10, 4),
    currency varchar(3),
    requirements_met boolean,
    caller_id uuid not null,
    customer_reference text,
    phase text default 'intended' not null,
    order_attempts integer default 0 not null,
    order_missed_at timestamptz,
    failure_code text,
    failure_detail text,
    lease_token uuid,
    leased_until timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    completed_at timestamptz,
    constraint phone_number_purchases_pkey
      primary key (id),
    constraint phone_number_purchases_phone_format
      check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    constraint phone_number_purchases_monthly_cost_not_negative
      check (monthly_cost >= 0),
    constraint phone_number_purchases_upfront_cost_not_negative
      check (upfront_cost >= 0),
    constraint phone_number_purchases_order_attempts_not_negative
      check (order_attempts >= 0),
    constraint phone_number_purchases_phase_known
      check (phase in ('intended', 'ordering', 'ordered', 'completed', 'failed', 'cancelled')),
    -- An order may be at Telnyx from the moment it is about to be sent: never `ordering` without having counted it.
    constraint phone_number_purchases_ordering_is_counted
      check (phase <> 'ordering' or order_attempts >= 1),
    constraint phone_number_purchases_ordered_has_order
      check (phase <> 'ordered' or telnyx_order_id is not null),
    constraint phone_number_purchases_completed_is_complete
      check (
        phase <> 'completed'
        or (telnyx_order_id is not null and telnyx_phone_number_id is not null and completed_at is not null)
      ),
    constraint phone_number_purchases_failed_has_reason
      check ((phase = 'failed') = (failure_code is not null)),
    constraint phone_number_purchases_lease_is_whole
      check ((lease_token is null) = (leased_until is null))
  );

  -- One number is bought once at a time, whatever the functions believe. Also finds the purchase a row is waiting for.
  create unique index if not exists phone_number_purchases_one_unfinished
  on phone_number_purchases (agency_phone_number_id)
  where phase in ('intended', 'ordering', 'ordered');

  create index if not exists idx_phone_number_purchases_agency_phone_number_id
  on phone_number_purchases (agency_phone_number_id);

  create index if not exists idx_phone_number_purchases_order_id
  on phone_number_purchases (order_id);

  create index if not exists idx_phone_number_purchases_phone_number
  on phone_number_purchases (phone_number);

  -- What is still to be finished, oldest first.
  create index if not exists idx_phone_number_purchases_unfinished
  on phone_number_purchases (created_at)
  where phase in ('intended', 'ordering', 'ordered');

  if not exists (
    select
    from pg_trigger as t
    where t.tgrelid = to_regclass(home || '.phone_number_purchases')
      and t.tgname = 'update_phone_number_purchases_updated_at'
  ) then
    create trigger update_phone_number_purchases_updated_at
    before update on phone_number_purchases
    for each row
    execute function update_updated_at_column();
  end if;

  -- Supabase grants every new table to the roles of its REST API. No tenant reads the ledger past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_purchases from %I', role_name);
  end loop;

  comment on table phone_number_purchases is
    'The ledger: one row per attempt to buy one number. Written before Telnyx hears of it, and never deleted.';

  comment on column phone_number_purchases.id is
    'The customer_reference of the order at Telnyx, by which an order whose answer was lost is found again.';

  comment on column phone_number_purchases.order_id is
    'The order as the caller knows it: the id of the first purchase of the same request.';

  comment on column phone_number_purchases.agency_id is
    'The agency that buys.';

  comment on column phone_number_purchases.agency_phone_number_id is
    'The row of agency_phone_numbers bought into. A released number keeps its row: a row may have several purchases.';

  comment on column phone_number_purchases.phone_number is
    'E.164.';

  comment on column phone_number_purchases.telnyx_account is
    'The name of the secret whose API key placed the order. Every later call about this number uses that account.';

  comment on column phone_number_purchases.connection_id is
    'The Telnyx connection the order was placed with; null when the agency had none.';

  comment on column phone_number_purchases.telnyx_order_id is
    'Telnyx''s id of the number order.';

  comment on column phone_number_purchases.telnyx_phone_number_id is
    'Telnyx''s id of the number in the inventory; not the id of the order''s item.';

  comment on column phone_number_purchases.number_type is
    'As Telnyx offered it just before the order.';

  comment on column phone_number_purchases.country_code is
    'ISO 3166-1 alpha-2, as Telnyx offered it just before the order.';

  comment on column phone_number_purchases.features is
    'As Telnyx offered them just before the order.';

  comment on column phone_number_purchases.monthly_cost is
    'Price per month in currency, read just before the order.';

  comment on column phone_number_purchases.upfront_cost is
    'Price once in currency, read just before the order.';

  comment on column phone_number_purchases.currency is
    'ISO 4217, of both prices.';

  comment on column phone_number_purchases.requirements_met is
    'Whether Telnyx has what regulation demands for this number; null until it says.';

  comment on column phone_number_purchases.caller_id is
    'The user who asked.';

  comment on column phone_number_purchases.customer_reference is
    'The caller''s own reference, kept and echoed; Telnyx never sees it.';

  comment on column phone_number_purchases.phase is
    'intended: nothing sent; ordering: an order may be at Telnyx; ordered: it is, under telnyx_order_id; '
    'completed: the number is the agency''s; failed: nothing was bought, see failure_code; '
    'cancelled: the order was withdrawn.';

  comment on column phone_number_purchases.order_attempts is
    'How often an order was about to be sent; counted before it is.';

  comment on column phone_number_purchases.order_missed_at is
    'Since when looking the order up by its reference has found none; null when it was found or not looked for.';

  comment on column phone_number_purchases.failure_code is
    'The stable code of why it failed; set exactly in phase failed.';

  comment on column phone_number_purchases.failure_detail is
    'The same for people.';

  comment on column phone_number_purchases.lease_token is
    'Who is working on this purchase; null when nobody is.';

  comment on column phone_number_purchases.leased_until is
    'Until when, on the database''s clock. Past that, anybody may take over.';

  comment on column phone_number_purchases.completed_at is
    'When the number became the agency''s, on the database''s clock.';
end
$migration$;
