-- What the comparison of the rows with Telnyx' inventory remembers, and what it leaves to a person.
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

  create table if not exists phone_number_findings (
    id uuid default uuid_generate_v4() not null,
    kind text not null,
    telnyx_account text not null,
    phone_number varchar(20),
    telnyx_phone_number_id text,
    telnyx_reference text,
    agency_id uuid,
    agency_phone_number_ids uuid[] default '{}' not null,
    detail text not null,
    state text default 'open' not null,
    first_seen_at timestamptz default now() not null,
    last_seen_at timestamptz default now() not null,
    resolved_at timestamptz,
    resolved_by text,
    constraint phone_number_findings_pkey
      primary key (id),
    constraint phone_number_findings_kind_known
      check (kind in ('not_ours', 'agency_gone', 'held_by_another', 'released_but_billed', 'inventory_drift')),
    constraint phone_number_findings_state_known
      check (state in ('open', 'adopted', 'dismissed', 'gone')),
    constraint phone_number_findings_names_a_number
      check (kind = 'inventory_drift' or (phone_number is not null and telnyx_phone_number_id is not null)),
    constraint phone_number_findings_resolved_is_whole
      check ((state = 'open') = (resolved_at is null) and (state = 'open') = (resolved_by is null))
  );

  -- What was dismissed stays so, however often it is seen again, as long as it is about the same rows.
  create unique index if not exists phone_number_findings_one_of_a_kind
  on phone_number_findings (telnyx_account, kind, coalesce(phone_number, ''))
  where state in ('open', 'dismissed');

  create index if not exists idx_phone_number_findings_open
  on phone_number_findings (first_seen_at)
  where state = 'open';

  create table if not exists phone_number_inventory_walks (
    telnyx_account text not null,
    next_page integer default 1 not null,
    seen uuid[] default '{}' not null,
    missed uuid[] default '{}' not null,
    started_at timestamptz,
    finished_at timestamptz,
    visited_at timestamptz default now() not null,
    lease_token uuid,
    leased_until timestamptz,
    constraint phone_number_inventory_walks_pkey
      primary key (telnyx_account),
    constraint phone_number_inventory_walks_next_page_positive
      check (next_page > 0),
    constraint phone_number_inventory_walks_begun_is_dated
      check (next_page = 1 or started_at is not null),
    constraint phone_number_inventory_walks_lease_is_whole
      check ((lease_token is null) = (leased_until is null))
  );

  comment on table phone_number_findings is
    'What a person must look at. Nothing is done about it at Telnyx.';

  comment on column phone_number_findings.kind is
    'not_ours: a number in the account without a reference of ours; '
    'agency_gone: a number of ours whose agency is no more; '
    'held_by_another: a number of ours whose row is another agency''s; '
    'released_but_billed: a number that its row says was given back; '
    'inventory_drift: rows without a number at Telnyx, more than can be believed, or in an account that is not known again.';

  comment on column phone_number_findings.agency_phone_number_ids is
    'The rows concerned.';

  comment on column phone_number_findings.state is
    'open; adopted: done as the finding suggests; dismissed: to be left as it is; gone: not seen any more.';

  comment on column phone_number_findings.resolved_by is
    'operator or reconcile.';

  comment on table phone_number_inventory_walks is
    'How far the walk through the inventory of each account at Telnyx has come.';

  comment on column phone_number_inventory_walks.visited_at is
    'When somebody last walked here, however far: the one that waits longest is next.';

  -- Gone where a later migration has run already.
  if exists (
    select
    from pg_attribute as a
    where a.attrelid = to_regclass(home || '.phone_number_inventory_walks')
      and a.attname = 'seen'
      and not a.attisdropped
  ) then
    comment on column phone_number_inventory_walks.seen is
      'The rows whose numbers this walk has met so far.';

    comment on column phone_number_inventory_walks.missed is
      'The rows whose numbers the last whole walk did not meet.';
  end if;

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_findings from %I', role_name);
    execute format('revoke all on table phone_number_inventory_walks from %I', role_name);
  end loop;
end
$migration$;
