-- What happened to each number. No foreign keys: both tables outlive the number's row, its agency and the users.

-- History: what happened, when, by whom, and the columns that changed. Append-only.
--
-- A trigger on agency_phone_numbers writes it. So an entry is part of the transaction of the change, and none is missing
-- whoever writes the table: the functions, the platform, a cascade, or an operator with psql. A writer names the actor in
-- the setting phone_numbers.actor, for the transaction alone; without it the actor is the platform.
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
    check (event in ('bought', 'assigned', 'unassigned', 'changed', 'released', 'reconciled', 'deleted', 'expired'))
);

create index if not exists idx_phone_number_history_agency_phone_number_id
on phone_number_history (agency_phone_number_id, id);

create index if not exists idx_phone_number_history_phone_number
on phone_number_history (phone_number, id);

comment on table phone_number_history is
  'What happened to each number, written in the transaction of the change. Append-only.';

comment on column phone_number_history.agency_id is
  'The agency that held the number then.';

comment on column phone_number_history.agency_phone_number_id is
  'The row of agency_phone_numbers: one life of the number. Null for what concerns no row.';

comment on column phone_number_history.event is
  'bought, assigned, unassigned, changed, released; reconciled: corrected after a comparison with Telnyx; '
  'deleted: the row was deleted with its agency; expired: the purchase was never ordered and is not wanted any more.';

comment on column phone_number_history.actor is
  'The user''s id; reconcile; operator: a person of ours; platform: whoever else wrote the row.';

comment on column phone_number_history.changes is
  'For each column that changed, {"from": …, "to": …}.';

create or replace function phone_number_history_is_append_only()
returns trigger
language plpgsql
set search_path = ''
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

-- Runs with the rights of its owner: whoever may write agency_phone_numbers needs no right on the history.
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
  -- On another table, the trigger would write entries about numbers that nothing happened to.
  if tg_relid <> 'agency_phone_numbers'::regclass then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('agency_phone_numbers_history is not a trigger for %s', tg_relid::regclass);
  end if;

  if tg_op <> 'INSERT' then
    before := to_jsonb(old) - 'updated_at';
  end if;

  if tg_op <> 'DELETE' then
    after := to_jsonb(new) - 'updated_at';
  end if;

  event := case
    -- Intended and failed purchases are in the ledger alone. A released row moves to the archive and back.
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

  -- The entry of a purchase has the values that the row begins with, not the difference from the intended purchase.
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

create or replace trigger agency_phone_numbers_history
after insert or update or delete on agency_phone_numbers
for each row
execute function agency_phone_numbers_history();

-- Archive: released rows whose number was bought again.
--
-- agency_phone_numbers has one row for each number, and a released number keeps its row. Whoever buys the number again
-- gets a new row with a new id. The old row moves here unchanged, and moves back if that purchase fails. Its agency can
-- still see it.
create table if not exists agency_phone_numbers_archive (
  id uuid not null,
  agency_id uuid not null,
  phone_number varchar(20) not null,
  replaced_by uuid not null,
  record jsonb not null,
  archived_at timestamptz default now() not null,
  constraint agency_phone_numbers_archive_pkey
    primary key (id),
  constraint agency_phone_numbers_archive_replaced_by_unique
    unique (replaced_by),
  constraint agency_phone_numbers_archive_is_released
    check (record ->> 'status' = 'released'),
  constraint agency_phone_numbers_archive_is_whole
    check (
      record ->> 'id' = id::text
      and record ->> 'agency_id' = agency_id::text
      and record ->> 'phone_number' = phone_number
    )
);

create index if not exists idx_agency_phone_numbers_archive_agency_id
on agency_phone_numbers_archive (agency_id);

create index if not exists idx_agency_phone_numbers_archive_phone_number
on agency_phone_numbers_archive (phone_number);

comment on table agency_phone_numbers_archive is
  'Released rows of agency_phone_numbers whose number was bought again.';

comment on column agency_phone_numbers_archive.id is
  'The row''s id, as it was.';

comment on column agency_phone_numbers_archive.replaced_by is
  'The row of agency_phone_numbers that has the number now.';

comment on column agency_phone_numbers_archive.record is
  'The whole row, columns that we do not know included, as to_jsonb() writes it.';

-- Restores an archived row with the columns that it had. A column that the platform has added since gets its default, and
-- a generated column is generated.
create or replace function agency_phone_numbers_restore(record jsonb)
returns uuid
language plpgsql
as $function$
declare
  columns text;
begin
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  into columns
  from pg_attribute as a
  where a.attrelid = 'agency_phone_numbers'::regclass
    and a.attnum > 0
    and not a.attisdropped
    and a.attgenerated = ''
    and record ? a.attname;

  execute format(
    'insert into agency_phone_numbers (%1$s) overriding system value
     select %1$s from jsonb_populate_record(null::agency_phone_numbers, $1)',
    columns
  )
  using record;

  return record ->> 'id';
end
$function$;

-- Both functions use the tables of this schema, whatever the search path of the session and its temporary tables.
do $search_path$
begin
  execute format('alter function agency_phone_numbers_history() set search_path = %I, pg_temp', current_schema());
  execute format('alter function agency_phone_numbers_restore(jsonb) set search_path = %I, pg_temp', current_schema());
end
$search_path$;
