-- The history of every number's life: what happened, when, by whom, from what to what. Append-only.
--
-- It is written by a trigger on agency_phone_numbers, so that it is in the very transaction of the change and complete on
-- every path into the table: the functions, the platform, a cascade, somebody at a psql prompt. Whoever writes says who
-- they are in the setting phone_numbers.actor, for the transaction alone; a writer that does not is the platform.
--
-- No foreign keys: a history outlives the number's row, its agency and the users it speaks of.
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

  create table if not exists phone_number_history (
    id bigint generated always as identity,
    at timestamptz default now() not null,
    agency_id uuid,
    agency_phone_number_id uuid,
    phone_number varchar(20),
    event text not null,
    actor text not null,
    changes jsonb default '{}' not null,
    constraint phone_number_history_pkey
      primary key (id),
    constraint phone_number_history_event_known
      check (event in ('bought', 'assigned', 'unassigned', 'changed', 'released', 'reconciled', 'deleted'))
  );

  create index if not exists idx_phone_number_history_agency_phone_number_id
  on phone_number_history (agency_phone_number_id, id);

  create index if not exists idx_phone_number_history_phone_number
  on phone_number_history (phone_number, id);

  create or replace function phone_number_history_is_append_only()
  returns trigger
  language plpgsql
  as $function$
  begin
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = 'phone_number_history is append-only';
  end
  $function$;

  create or replace trigger phone_number_history_is_append_only
  before update or delete or truncate on phone_number_history
  for each statement
  execute function phone_number_history_is_append_only();

  -- With the rights of whoever owns the table: a writer of agency_phone_numbers needs none on the history.
  create or replace function agency_phone_numbers_history()
  returns trigger
  language plpgsql
  security definer
  as $function$
  declare
    before jsonb := '{}';
    after jsonb := '{}';
    changes jsonb;
    event text;
  begin
    if tg_op <> 'INSERT' then
      before := to_jsonb(old) - 'updated_at';
    end if;

    if tg_op <> 'DELETE' then
      after := to_jsonb(new) - 'updated_at';
    end if;

    event := case
      -- A purchase that is only intended, and one that came to nothing, are the ledger's matter; a released row moves
      -- to the archive and back.
      when tg_op = 'INSERT' then case when new.status in ('active', 'inactive') then 'bought' end
      when tg_op = 'DELETE' then case when old.status in ('active', 'inactive') then 'deleted' end
      when new.status = 'released' and old.status <> 'released' then 'released'
      when old.status = 'pending' and new.status <> 'pending' then 'bought'
      when new.agent_mapping_id is not null and new.agent_mapping_id is distinct from old.agent_mapping_id then 'assigned'
      when new.agent_mapping_id is null and old.agent_mapping_id is not null then 'unassigned'
      when before <> after then 'changed'
    end;

    if event is null then
      return null;
    end if;

    -- The row of a number that is bought says how it begins, not how it differs from the intent.
    if event = 'bought' then
      before := '{}';
    end if;

    select coalesce(jsonb_object_agg(c.key, jsonb_build_object('from', before -> c.key, 'to', after -> c.key)), '{}')
    into changes
    from (
      select k.key
      from jsonb_object_keys(before || after) as k (key)
      where nullif(before -> k.key, 'null') is distinct from nullif(after -> k.key, 'null')
        and (event <> 'bought' or k.key not in ('id', 'agency_id', 'phone_number', 'created_at'))
    ) as c;

    insert into phone_number_history (agency_id, agency_phone_number_id, phone_number, event, actor, changes)
    values (
      case when tg_op = 'DELETE' then old.agency_id else new.agency_id end,
      case when tg_op = 'DELETE' then old.id else new.id end,
      case when tg_op = 'DELETE' then old.phone_number else new.phone_number end,
      coalesce(nullif(current_setting('phone_numbers.event', true), ''), event),
      coalesce(nullif(current_setting('phone_numbers.actor', true), ''), 'platform'),
      changes
    );

    return null;
  end
  $function$;

  execute format('alter function agency_phone_numbers_history() set search_path = %s, pg_temp', home);

  create or replace trigger agency_phone_numbers_history
  after insert or update or delete on agency_phone_numbers
  for each row
  execute function agency_phone_numbers_history();

  comment on table phone_number_history is
    'What happened to each number, written in the transaction of the change. Append-only.';

  comment on column phone_number_history.agency_id is
    'The agency that held the number then.';

  comment on column phone_number_history.agency_phone_number_id is
    'The row of agency_phone_numbers: one life of the number. Null for what concerns no row.';

  comment on column phone_number_history.event is
    'bought, assigned, unassigned, changed, released; reconciled: corrected after a comparison with Telnyx; '
    'deleted: the row went with its agency.';

  comment on column phone_number_history.actor is
    'The user''s id; reconcile; operator: a person of ours; platform: whoever else wrote the row.';

  comment on column phone_number_history.changes is
    'For each column that changed, {"from": …, "to": …}.';

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_history from %I', role_name);
  end loop;
end
$migration$;
