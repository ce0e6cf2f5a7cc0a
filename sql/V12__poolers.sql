-- Behind a pooler such as PgBouncer, Supavisor or RDS Proxy, a session belongs to several clients in turn, transaction by
-- transaction. Nothing may be set for the session: what a function must know about a statement is set by functions of the database,
-- for the transaction alone, and the limits of time belong to the roles.

-- Who writes, and with which authority: `agency_phone_numbers_history` and `agency_phone_numbers_writer` read it. RDS Proxy gives a
-- client a connection of its own once it sees `set_config` in a statement, and does not look into functions.
create or replace function phone_numbers_sign(actor text, ledger uuid default null, event text default null)
returns text
language sql
volatile
set search_path = ''
as $function$
  select set_config('phone_numbers.actor', actor, true)
    || set_config('phone_numbers.ledger', coalesce(ledger::text, ''), true)
    || set_config('phone_numbers.event', coalesce(event, ''), true)
$function$;

comment on function phone_numbers_sign(text, uuid, text) is
  'Says for the rest of the transaction who changes rows, with the authority of which purchase or release, and as which event.';

-- The beginning of a purchase, in one statement: within the agency's quota and rate, the number is taken and the intent noted, all
-- or nothing. A released row that has the number is archived. For a request with an idempotency key, the key lists the purchase.
--
-- The outcome is one of: begun, held, held_elsewhere, quota_exceeded, rate_limited, wrong_deployment, key_lost.
create or replace function phone_number_purchase_begin(
  buyer_agency_id uuid,
  buyer_id uuid,
  wanted_number text,
  new_row_id uuid,
  new_friendly_name text,
  new_agent_mapping_id uuid,
  new_purchase_id uuid,
  new_order_id uuid,
  new_telnyx_account text,
  new_telnyx_reference text,
  new_connection_id text,
  new_customer_reference text,
  new_max_monthly_cost numeric,
  new_max_upfront_cost numeric,
  new_limit_currency text,
  new_lease_token uuid,
  lease_ms bigint,
  deployment text,
  general_limit bigint,
  rate_share_s float8,
  rate_whole_s float8,
  key_function text,
  request_key text,
  key_lease_token uuid,
  key_lease_ms bigint,
  key_position smallint
)
returns table (outcome text, quota bigint, wait_s float8, purchase phone_number_purchases)
language plpgsql
as $function$
#variable_conflict use_column
declare
  own_limit text;
  holder uuid;
begin
  -- One purchase of an agency begins at a time: what the next one counts, this one has written.
  perform pg_advisory_xact_lock(hashtext('phone_number_purchases'), hashtext(buyer_agency_id::text));

  select a.settings ->> 'max_phone_numbers'
  into own_limit
  from agencies as a
  where a.id = buyer_agency_id;

  if not found then
    outcome := 'held';
    return next;
    return;
  end if;

  select n.agency_id
  into holder
  from agency_phone_numbers as n
  where n.phone_number = wanted_number
    and n.status <> 'released';

  if holder = buyer_agency_id then
    outcome := 'held';
    return next;
    return;
  end if;

  -- From here on, a number that another agency has is treated as any other one, until nothing else is against it.
  if not exists (select from phone_number_deployment as d where d.name = deployment) then
    outcome := 'wrong_deployment';
    return next;
    return;
  end if;

  -- A limit of the agency's own goes before the general one; one that cannot be read permits nothing.
  quota := case
    when own_limit is null then general_limit
    when own_limit !~ '^[+-]?[0-9]{1,255}$' then 0
    when own_limit::numeric not between -9223372036854775808 and 9223372036854775807 then 0
    else own_limit::bigint
  end;

  if quota <= (
    select coalesce(sum(c.pending + c.active + c.inactive), 0)
    from phone_number_counts as c
    where c.agency_id = buyer_agency_id
  ) then
    outcome := 'quota_exceeded';
    return next;
    return;
  end if;

  -- What follows is undone if it cannot be ended.
  begin
    if rate_share_s is not null then
      insert into phone_number_purchase_rates as r (agency_id, whole_at)
      values (buyer_agency_id, now() + rate_share_s * interval '1 second')
      on conflict (agency_id) do update
      set whole_at = greatest(r.whole_at, now()) + rate_share_s * interval '1 second'
      where greatest(r.whole_at, now()) + rate_share_s * interval '1 second' <= now() + rate_whole_s * interval '1 second';

      if not found then
        outcome := 'rate_limited';

        select extract(epoch from r.whole_at - now())::float8 + rate_share_s - rate_whole_s
        into wait_s
        from phone_number_purchase_rates as r
        where r.agency_id = buyer_agency_id;

        return next;
        return;
      end if;
    end if;

    -- It counts as an attempt.
    if holder is not null then
      outcome := 'held_elsewhere';
      return next;
      return;
    end if;

    -- The row of a released number is its agency's: nobody's name is on its way to the archive.
    with vacated as (
      delete from agency_phone_numbers as n
      where n.phone_number = wanted_number
        and n.status = 'released'
      returning n.id, n.agency_id, n.phone_number, to_jsonb(n) as record
    )
    insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
    select v.id, v.agency_id, v.phone_number, new_row_id, v.record
    from vacated as v;

    perform phone_numbers_sign(buyer_id::text);

    insert into agency_phone_numbers (id, agency_id, phone_number, friendly_name, agent_mapping_id, status)
    values (new_row_id, buyer_agency_id, wanted_number, new_friendly_name, new_agent_mapping_id, 'pending')
    on conflict (phone_number) do nothing;

    if not found then
      raise exception using errcode = 'PN001', message = 'the number was taken meanwhile';
    end if;

    insert into phone_number_purchases as p (
      id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, connection_id, caller_id,
      customer_reference, max_monthly_cost, max_upfront_cost, limit_currency, lease_token, leased_until, deployment
    )
    values (
      new_purchase_id, new_order_id, buyer_agency_id, new_row_id, wanted_number, new_telnyx_account, new_telnyx_reference,
      new_connection_id, buyer_id, new_customer_reference, new_max_monthly_cost, new_max_upfront_cost, new_limit_currency,
      new_lease_token, now() + lease_ms * interval '1 millisecond', (select d.name from phone_number_deployment as d)
    )
    returning p.*
    into purchase;

    if request_key is not null then
      -- The lease counts from `clock_timestamp()`: the transaction may have begun long before, to wait for the agency's lock.
      update phone_number_idempotency_keys as k
      set leased_until = clock_timestamp() + key_lease_ms * interval '1 millisecond'
      where k.agency_id = buyer_agency_id
        and k.function = key_function
        and k.key = request_key
        and k.lease_token = key_lease_token;

      if not found then
        raise exception using errcode = 'PN002', message = 'the hold on the idempotency key is lost';
      end if;

      insert into phone_number_idempotency_purchases as i (agency_id, function, key, position, purchase_id)
      values (buyer_agency_id, key_function, request_key, key_position, new_purchase_id)
      on conflict (agency_id, function, key, position) do update
      set purchase_id = excluded.purchase_id,
          agency_phone_number_id = excluded.agency_phone_number_id,
          listed_at = excluded.listed_at;
    end if;
  exception
    when sqlstate 'PN001' then
      outcome := 'held';
      return next;
      return;
    when sqlstate 'PN002' then
      outcome := 'key_lost';
      purchase := null;
      return next;
      return;
  end;

  outcome := 'begun';
  return next;
end
$function$;

comment on function phone_number_purchase_begin is
  'Takes a number for an agency and notes the intent to buy it, or returns why not.';

-- The limits of time of the functions' roles and of the logins that `cargo dev logins` makes, for sessions that start without limits
-- of their own: those of a pooler. They are those of DATABASE_TIMEOUT_MS=8000. A login does not inherit what is set for a role that
-- it is a member of. What somebody has set already is left as it is.
create or replace function phone_numbers_limit_roles()
returns void
language plpgsql
set search_path = ''
as $function$
declare
  wanted record;
begin
  for wanted in
    select r.rolname, l.name, l.value
    from pg_catalog.pg_roles as r
    cross join (values
      ('statement_timeout', '7s'),
      ('lock_timeout', '5s'),
      ('idle_in_transaction_session_timeout', '5s')
    ) as l (name, value)
    where r.rolname in (
        'phone_numbers_read', 'phone_numbers_assign', 'phone_numbers_spend',
        'phone_numbers_read_login', 'phone_numbers_assign_login', 'phone_numbers_spend_login'
      )
      and not exists (
        select
        from unnest(r.rolconfig) as c (setting)
        where starts_with(c.setting, l.name || '=')
      )
    order by r.rolname, l.name
  loop
    begin
      execute format('alter role %I set %I = %L', wanted.rolname, wanted.name, wanted.value);
    exception
      -- Another database's migration is faster.
      when internal_error or unique_violation then
        null;
      when insufficient_privilege then
        raise warning '% may not limit the time of %; a role that may should run: alter role % set % = %',
          current_user, wanted.rolname, quote_ident(wanted.rolname), wanted.name, quote_literal(wanted.value);
    end;
  end loop;
end
$function$;

comment on function phone_numbers_limit_roles() is
  'Gives the roles and logins of the functions limits of time, where they have none.';

select phone_numbers_limit_roles();

do $settings$
declare
  outsiders constant text := concat_ws(
    ', ',
    'public',
    (
      select string_agg(quote_ident(r.rolname), ', ')
      from pg_roles as r
      where r.rolname in ('anon', 'authenticated')
    )
  );
  ours record;
begin
  for ours in
    select p.oid::regprocedure as signature, p.proname
    from pg_proc as p
    where p.pronamespace = current_schema()::regnamespace
      and p.proname in ('phone_numbers_sign', 'phone_number_purchase_begin', 'phone_numbers_limit_roles')
  loop
    execute format('revoke all on function %s from %s', ours.signature, outsiders);

    if ours.proname = 'phone_number_purchase_begin' then
      -- The tables of this schema, whatever the search path of the session and its temporary tables.
      execute format('alter function %s set search_path = %I, pg_temp', ours.signature, current_schema());
    end if;
  end loop;
end
$settings$;

grant execute on function phone_numbers_sign(text, uuid, text)
to phone_numbers_assign, phone_numbers_spend;

grant execute on function phone_number_purchase_begin
to phone_numbers_spend;
