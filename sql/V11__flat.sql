-- What keeps reads as fast for an agency with 100,000 numbers as for one with few: counts that are kept where rows are written, and
-- indexes in the order of the list. What each index buys and costs is in docs/decisions/0056.

-- The counts of an agency's rows, archived ones included: the sum of its entries here, a few for each currency.
--
-- A writer takes entries that no other transaction holds, and replaces them by one with their sum and its own change. If others
-- hold all of them, it adds an entry. So no writer ever waits for another one here, and none can be part of a deadlock, in whatever
-- order a transaction writes the rows of several agencies. An entry alone means nothing, and may be negative.
create table if not exists phone_number_counts (
  id bigint generated always as identity,
  agency_id uuid not null,
  currency varchar(3) not null,
  pending bigint not null,
  active bigint not null,
  inactive bigint not null,
  released bigint not null,
  assigned bigint not null,
  priced bigint not null,
  monthly_cost numeric not null,
  constraint phone_number_counts_pkey
    primary key (agency_id, currency, id)
);

comment on table phone_number_counts is
  'How many rows each agency has and what they cost: the sum of its entries. Written by triggers in the transaction of the change.';

comment on column phone_number_counts.assigned is
  'Rows with an agent, the released left out.';

comment on column phone_number_counts.priced is
  'Active and inactive rows that have a monthly cost.';

comment on column phone_number_counts.monthly_cost is
  'What the active and inactive rows cost each month.';

-- Adds changes to the counts.
create or replace function phone_number_counts_add(changes phone_number_counts[])
returns void
language plpgsql
as $function$
declare
  change record;
begin
  for change in
    select
      c.agency_id,
      c.currency,
      sum(c.pending) as pending,
      sum(c.active) as active,
      sum(c.inactive) as inactive,
      sum(c.released) as released,
      sum(c.assigned) as assigned,
      sum(c.priced) as priced,
      sum(c.monthly_cost) as monthly_cost
    from unnest(changes) as c
    group by c.agency_id, c.currency
    having (sum(c.pending), sum(c.active), sum(c.inactive), sum(c.released), sum(c.assigned), sum(c.priced), sum(c.monthly_cost))
      <> (0, 0, 0, 0, 0, 0, 0)
  loop
    with taken as (
      delete from phone_number_counts as t
      where t.agency_id = change.agency_id
        and t.currency = change.currency
        and t.id = any (array(
          select f.id
          from phone_number_counts as f
          where f.agency_id = change.agency_id
            and f.currency = change.currency
            -- In a higher isolation level, an entry that another transaction has replaced since would be an error.
            and current_setting('transaction_isolation') like 'read %'
          order by f.id
          limit 8
          for update skip locked
        ))
      returning t.pending, t.active, t.inactive, t.released, t.assigned, t.priced, t.monthly_cost
    ), parts as (
      select t.*
      from taken as t
      union all
      select
        change.pending,
        change.active,
        change.inactive,
        change.released,
        change.assigned,
        change.priced,
        change.monthly_cost
    )
    insert into phone_number_counts
      (agency_id, currency, pending, active, inactive, released, assigned, priced, monthly_cost)
    select
      change.agency_id,
      change.currency,
      sum(p.pending),
      sum(p.active),
      sum(p.inactive),
      sum(p.released),
      sum(p.assigned),
      sum(p.priced),
      sum(p.monthly_cost)
    from parts as p
    having (sum(p.pending), sum(p.active), sum(p.inactive), sum(p.released), sum(p.assigned), sum(p.priced), sum(p.monthly_cost))
      <> (0, 0, 0, 0, 0, 0, 0);
  end loop;
end
$function$;

comment on function phone_number_counts_add(phone_number_counts[]) is
  'Adds changes to the counts of agencies, without waiting for another transaction.';

-- Counts everything anew, while nobody writes.
create or replace function phone_number_counts_rebuild()
returns void
language plpgsql
as $function$
begin
  lock table agency_phone_numbers, agency_phone_numbers_archive in share row exclusive mode;
  delete from phone_number_counts;

  insert into phone_number_counts (agency_id, currency, pending, active, inactive, released, assigned, priced, monthly_cost)
  select
    n.agency_id,
    n.currency,
    count(*) filter (where n.status = 'pending'),
    count(*) filter (where n.status = 'active'),
    count(*) filter (where n.status = 'inactive'),
    count(*) filter (where n.status = 'released'),
    count(*) filter (where n.status <> 'released' and n.agent_mapping_id is not null),
    count(n.monthly_cost) filter (where n.status in ('active', 'inactive')),
    coalesce(sum(n.monthly_cost) filter (where n.status in ('active', 'inactive')), 0)
  from (
    select c.agency_id, c.currency, c.status, c.agent_mapping_id, c.monthly_cost
    from agency_phone_numbers as c
    union all
    select a.agency_id, a.record ->> 'currency', 'released', null, null
    from agency_phone_numbers_archive as a
  ) as n
  group by n.agency_id, n.currency;
end
$function$;

comment on function phone_number_counts_rebuild() is
  'Counts the rows of all agencies anew. For rows that were written while the triggers did not fire.';

-- Called once for each statement, however many rows it writes, and also for a cascade. Runs with the rights of its owner: a role
-- that may write the rows needs no right on the counts.
create or replace function agency_phone_numbers_count()
returns trigger
language plpgsql
security definer
as $function$
declare
  changes phone_number_counts[];
begin
  -- On another table, the trigger would count what is no number.
  if tg_relid <> 'agency_phone_numbers'::regclass then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('agency_phone_numbers_count is not a trigger for %s', tg_relid::regclass);
  end if;

  if tg_op = 'TRUNCATE' then
    perform phone_number_counts_rebuild();
    return null;
  end if;

  if tg_op <> 'INSERT' then
    changes := array(
      select row(
        null,
        n.agency_id,
        n.currency,
        -count(*) filter (where n.status = 'pending'),
        -count(*) filter (where n.status = 'active'),
        -count(*) filter (where n.status = 'inactive'),
        -count(*) filter (where n.status = 'released'),
        -count(*) filter (where n.status <> 'released' and n.agent_mapping_id is not null),
        -count(n.monthly_cost) filter (where n.status in ('active', 'inactive')),
        -coalesce(sum(n.monthly_cost) filter (where n.status in ('active', 'inactive')), 0)
      )::phone_number_counts
      from old_rows as n
      group by n.agency_id, n.currency
    );
  end if;

  if tg_op <> 'DELETE' then
    changes := changes || array(
      select row(
        null,
        n.agency_id,
        n.currency,
        count(*) filter (where n.status = 'pending'),
        count(*) filter (where n.status = 'active'),
        count(*) filter (where n.status = 'inactive'),
        count(*) filter (where n.status = 'released'),
        count(*) filter (where n.status <> 'released' and n.agent_mapping_id is not null),
        count(n.monthly_cost) filter (where n.status in ('active', 'inactive')),
        coalesce(sum(n.monthly_cost) filter (where n.status in ('active', 'inactive')), 0)
      )::phone_number_counts
      from new_rows as n
      group by n.agency_id, n.currency
    );
  end if;

  perform phone_number_counts_add(changes);
  return null;
end
$function$;

comment on function agency_phone_numbers_count() is
  'Keeps phone_number_counts as the rows are written.';

-- The same for archived rows, all of which are released.
create or replace function agency_phone_numbers_archive_count()
returns trigger
language plpgsql
security definer
as $function$
declare
  changes phone_number_counts[];
begin
  if tg_relid <> 'agency_phone_numbers_archive'::regclass then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('agency_phone_numbers_archive_count is not a trigger for %s', tg_relid::regclass);
  end if;

  if tg_op = 'TRUNCATE' then
    perform phone_number_counts_rebuild();
    return null;
  end if;

  if tg_op <> 'INSERT' then
    changes := array(
      select row(null, a.agency_id, a.record ->> 'currency', 0, 0, 0, -count(*), 0, 0, 0)::phone_number_counts
      from old_rows as a
      group by a.agency_id, a.record ->> 'currency'
    );
  end if;

  if tg_op <> 'DELETE' then
    changes := changes || array(
      select row(null, a.agency_id, a.record ->> 'currency', 0, 0, 0, count(*), 0, 0, 0)::phone_number_counts
      from new_rows as a
      group by a.agency_id, a.record ->> 'currency'
    );
  end if;

  perform phone_number_counts_add(changes);
  return null;
end
$function$;

comment on function agency_phone_numbers_archive_count() is
  'Keeps phone_number_counts as rows are archived and restored.';

create or replace function agency_phone_numbers_archive_created_at()
returns trigger
language plpgsql
set search_path = ''
as $function$
begin
  new.created_at := new.record ->> 'created_at';
  return new;
end
$function$;

-- What a row can be found by: every three characters in a row of its number and its name, hashed with its agency. So an index on
-- them has the rows of one agency together. Whether a row that is found so contains the whole text is checked by the statement.
--
-- Every role that writes the rows executes it, since indexes use it.
create or replace function phone_number_search_terms(agency_id uuid, phone_number text, friendly_name text)
returns bigint[]
language plpgsql
immutable
parallel safe
set search_path = ''
as $function$
declare
  seed constant bigint := uuid_hash_extended(agency_id, 0);
  name constant text := lower(friendly_name);
  terms bigint[] := '{}';
begin
  -- A loop needs a number to count to, also without a name.
  for at in 1..coalesce(length(phone_number), 0) - 2 loop
    terms := terms || hashtextextended(substr(phone_number, at, 3), seed);
  end loop;

  for at in 1..coalesce(length(name), 0) - 2 loop
    terms := terms || hashtextextended(substr(name, at, 3), seed);
  end loop;

  return terms;
end
$function$;

comment on function phone_number_search_terms(uuid, text, text) is
  'The trigrams of a phone number and its name, hashed with the agency.';

do $settings$
declare
  -- Every role, and those of Supabase's REST API.
  outsiders constant text := concat_ws(
    ', ',
    'public',
    (
      select string_agg(quote_ident(r.rolname), ', ')
      from pg_roles as r
      where r.rolname in ('anon', 'authenticated')
    )
  );
  name text;
begin
  -- The tables of this schema, whatever the search path of the session and its temporary tables.
  foreach name in array array[
    'phone_number_counts_add(phone_number_counts[])',
    'phone_number_counts_rebuild()',
    'agency_phone_numbers_count()',
    'agency_phone_numbers_archive_count()'
  ]
  loop
    execute format('alter function %s set search_path = %I, pg_temp', name, current_schema());
    execute format('revoke all on function %s from %s', name, outsiders);
  end loop;

  execute format('revoke all on function agency_phone_numbers_archive_created_at() from %s', outsiders);
  execute format('revoke all on table phone_number_counts from %s', outsiders);
  execute format('revoke all on sequence phone_number_counts_id_seq from %s', outsiders);
end
$settings$;

-- Creating a trigger waits for all writers of the table, and keeps others from writing it until the migration ends. The tables come
-- in the order in which statements lock them.
create or replace trigger agency_phone_numbers_count_inserted
after insert on agency_phone_numbers
referencing new table as new_rows
for each statement
execute function agency_phone_numbers_count();

create or replace trigger agency_phone_numbers_count_updated
after update on agency_phone_numbers
referencing old table as old_rows new table as new_rows
for each statement
execute function agency_phone_numbers_count();

create or replace trigger agency_phone_numbers_count_deleted
after delete on agency_phone_numbers
referencing old table as old_rows
for each statement
execute function agency_phone_numbers_count();

create or replace trigger agency_phone_numbers_count_truncated
after truncate on agency_phone_numbers
for each statement
execute function agency_phone_numbers_count();

create or replace trigger agency_phone_numbers_archive_count_inserted
after insert on agency_phone_numbers_archive
referencing new table as new_rows
for each statement
execute function agency_phone_numbers_archive_count();

create or replace trigger agency_phone_numbers_archive_count_updated
after update on agency_phone_numbers_archive
referencing old table as old_rows new table as new_rows
for each statement
execute function agency_phone_numbers_archive_count();

create or replace trigger agency_phone_numbers_archive_count_deleted
after delete on agency_phone_numbers_archive
referencing old table as old_rows
for each statement
execute function agency_phone_numbers_archive_count();

create or replace trigger agency_phone_numbers_archive_count_truncated
after truncate on agency_phone_numbers_archive
for each statement
execute function agency_phone_numbers_archive_count();

-- The age of an archived row, in which the list is ordered. A cast of a text to a time cannot be indexed, since it depends on the
-- session's time zone.
alter table agency_phone_numbers_archive add column if not exists created_at timestamptz;

comment on column agency_phone_numbers_archive.created_at is
  'The record''s created_at.';

create or replace trigger agency_phone_numbers_archive_created_at
before insert or update on agency_phone_numbers_archive
for each row
execute function agency_phone_numbers_archive_created_at();

update agency_phone_numbers_archive as a
set created_at = (a.record ->> 'created_at')::timestamptz
where a.created_at is null;

alter table agency_phone_numbers_archive alter column created_at set not null;

-- Every row that was written before the triggers were there.
select phone_number_counts_rebuild();

-- The places of rows in the list, by status: of the rows with an agent, of those without, and of each agent's. All that the list needs
-- to know of a place is in the index.
create index if not exists idx_agency_phones_assigned_by_age
on agency_phone_numbers (agency_id, status, created_at, id)
where agent_mapping_id is not null;

create index if not exists idx_agency_phones_unassigned_by_age
on agency_phone_numbers (agency_id, status, created_at, id)
where agent_mapping_id is null;

create index if not exists idx_agency_phones_agent_by_age
on agency_phone_numbers (agency_id, agent_mapping_id, status, created_at, id)
where agent_mapping_id is not null;

-- Parts of numbers and names. Without `fastupdate`, since a search would read every row that is not yet in order.
create index if not exists idx_agency_phones_search
on agency_phone_numbers using gin (phone_number_search_terms(agency_id, phone_number, friendly_name))
with (fastupdate = off);

create index if not exists idx_agency_phone_numbers_archive_by_age
on agency_phone_numbers_archive (agency_id, created_at, id)
where record ->> 'agent_mapping_id' is null;

-- Rows that had an agent still when they were released, as only other writers leave them.
create index if not exists idx_agency_phone_numbers_archive_assigned
on agency_phone_numbers_archive (agency_id, created_at, id)
where record ->> 'agent_mapping_id' is not null;

create index if not exists idx_agency_phone_numbers_archive_search
on agency_phone_numbers_archive using gin (phone_number_search_terms(agency_id, phone_number, record ->> 'friendly_name'))
with (fastupdate = off);

-- Also where the platform has taken this right from new functions.
grant execute on function phone_number_search_terms(uuid, text, text)
to public;

-- The list's sums, and how many numbers an agency that buys has.
grant select on phone_number_counts
to phone_numbers_read, phone_numbers_spend;
