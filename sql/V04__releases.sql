-- The ledger of releases: one row per release of one number, so that a release which stopped half-way is taken up where
-- it stopped. No foreign keys, for the reason the ledger of purchases has none.
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
  if to_regclass(home || '.phone_number_releases') is not null then
    select string_agg(format('%s %s', c.name, c.type), ', ')
    into missing
    from (values
      ('id', 'uuid'),
      ('agency_id', 'uuid'),
      ('agency_phone_number_id', 'uuid'),
      ('phone_number', 'character varying(20)'),
      ('telnyx_account', 'text'),
      ('telnyx_phone_number_id', 'text'),
      ('caller_id', 'uuid'),
      ('previous_status', 'phone_number_status'),
      ('previous_agent_mapping_id', 'uuid'),
      ('phase', 'text'),
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
      where a.attrelid = to_regclass(home || '.phone_number_releases')
        and a.attname = c.name
        and format_type(a.atttypid, a.atttypmod) = c.type
        and not a.attisdropped
    );

    if missing is not null then
      raise exception using
        errcode = 'object_not_in_prerequisite_state',
        message = format(
          'this database contradicts the migration, which has changed nothing: found phone_number_releases without %s',
          missing
        );
    end if;
  end if;

  create table if not exists phone_number_releases (
    id uuid default uuid_generate_v4() not null,
    agency_id uuid not null,
    agency_phone_number_id uuid not null,
    phone_number varchar(20) not null,
    telnyx_account text not null,
    telnyx_phone_number_id text,
    caller_id uuid not null,
    previous_status phone_number_status not null,
    previous_agent_mapping_id uuid,
    phase text default 'requested' not null,
    failure_code text,
    failure_detail text,
    lease_token uuid,
    leased_until timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    completed_at timestamptz,
    constraint phone_number_releases_pkey
      primary key (id),
    constraint phone_number_releases_phone_format
      check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    constraint phone_number_releases_phase_known
      check (phase in ('requested', 'completed', 'refused')),
    constraint phone_number_releases_completed_is_complete
      check (phase <> 'completed' or completed_at is not null),
    constraint phone_number_releases_refused_has_reason
      check ((phase = 'refused') = (failure_code is not null)),
    constraint phone_number_releases_lease_is_whole
      check ((lease_token is null) = (leased_until is null))
  );

  -- One number is released once at a time. Also finds the release that a row is in.
  create unique index if not exists phone_number_releases_one_unfinished
  on phone_number_releases (agency_phone_number_id)
  where phase = 'requested';

  create index if not exists idx_phone_number_releases_agency_phone_number_id
  on phone_number_releases (agency_phone_number_id);

  create index if not exists idx_phone_number_releases_phone_number
  on phone_number_releases (phone_number);

  -- What is still to be finished, oldest first.
  create index if not exists idx_phone_number_releases_unfinished
  on phone_number_releases (created_at)
  where phase = 'requested';

  if not exists (
    select
    from pg_trigger as t
    where t.tgrelid = to_regclass(home || '.phone_number_releases')
      and t.tgname = 'update_phone_number_releases_updated_at'
  ) then
    create trigger update_phone_number_releases_updated_at
    before update on phone_number_releases
    for each row
    execute function update_updated_at_column();
  end if;

  -- Supabase grants every new table to the roles of its REST API. No tenant reads the ledger past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_releases from %I', role_name);
  end loop;

  comment on table phone_number_releases is
    'The ledger of releases: one row per release of one number. Never deleted.';

  comment on column phone_number_releases.agency_id is
    'The agency that gives the number back.';

  comment on column phone_number_releases.agency_phone_number_id is
    'The row of agency_phone_numbers.';

  comment on column phone_number_releases.phone_number is
    'E.164.';

  comment on column phone_number_releases.telnyx_account is
    'The name of the secret whose API key releases the number: the account it was bought in.';

  comment on column phone_number_releases.telnyx_phone_number_id is
    'Telnyx''s id of the number in the inventory; null when there was none to delete.';

  comment on column phone_number_releases.caller_id is
    'The user who asked.';

  comment on column phone_number_releases.previous_status is
    'The row''s status when the release began; a refused release puts it back.';

  comment on column phone_number_releases.previous_agent_mapping_id is
    'The agent the number had when the release began; a refused release puts it back.';

  comment on column phone_number_releases.phase is
    'requested: the row is unassigned, Telnyx may or may not have been asked; '
    'completed: the account no longer holds the number and the row says released; '
    'refused: Telnyx keeps the number, see failure_code.';

  comment on column phone_number_releases.failure_code is
    'The stable code of why it was refused; set exactly in phase refused.';

  comment on column phone_number_releases.failure_detail is
    'The same for people.';

  comment on column phone_number_releases.lease_token is
    'Who is working on this release; null when nobody is.';

  comment on column phone_number_releases.leased_until is
    'Until when, on the database''s clock. Past that, anybody may take over.';

  comment on column phone_number_releases.completed_at is
    'When the row became released, on the database''s clock.';
end
$migration$;
