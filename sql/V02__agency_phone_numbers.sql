-- The platform's table of phone numbers, exactly as documented: enums, table, constraints, indexes, trigger and view;
-- then a rule of ours on it. Whatever exists is left as it is, with its privileges.
do $objects$
declare
  home constant text := quote_ident(current_schema());
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
begin
  if to_regprocedure('uuid_generate_v4()') is null then
    if exists (select from pg_available_extensions where name = 'uuid-ossp') then
      create extension "uuid-ossp";
    else
      -- A server without the contrib modules generates version 4 UUIDs itself.
      create function uuid_generate_v4()
      returns uuid
      language sql
      volatile
      set search_path = ''
      as 'select pg_catalog.gen_random_uuid()';
    end if;
  end if;

  if to_regtype('call_direction') is null then
    create type call_direction as enum ('inbound', 'outbound');
  end if;

  if to_regtype('phone_number_status') is null then
    create type phone_number_status as enum ('pending', 'active', 'inactive', 'released');
  end if;

  if to_regprocedure('update_updated_at_column()') is null then
    create function update_updated_at_column()
    returns trigger
    language plpgsql
    set search_path = ''
    as $function$
    begin
      new.updated_at := now();
      return new;
    end
    $function$;

    execute format('revoke execute on function update_updated_at_column() from %s', outsiders);
  end if;

  if to_regclass(home || '.agency_phone_numbers') is null then
    create table agency_phone_numbers (
      id uuid default uuid_generate_v4() not null,
      agency_id uuid not null,
      phone_number varchar(20) not null,
      phone_number_id varchar(255),
      friendly_name varchar(255),
      number_type varchar(50),
      country_code varchar(5),
      voice_enabled boolean default true not null,
      sms_enabled boolean default false not null,
      mms_enabled boolean default false not null,
      agent_mapping_id uuid,
      direction call_direction default 'inbound',
      monthly_cost numeric(10, 4),
      setup_cost numeric(10, 4),
      currency varchar(3) default 'USD' not null,
      status phone_number_status default 'pending' not null,
      is_active boolean default true not null,
      purchased_at timestamptz,
      released_at timestamptz,
      created_at timestamptz default now() not null,
      updated_at timestamptz default now() not null,
      constraint agency_phone_numbers_pkey
        primary key (id),
      constraint agency_phone_numbers_phone_unique
        unique (phone_number),
      constraint agency_phone_numbers_agency_id_fkey
        foreign key (agency_id)
        references agencies (id)
        on delete cascade,
      constraint agency_phone_numbers_agent_mapping_id_fkey
        foreign key (agent_mapping_id)
        references agent_mappings (id)
        on delete set null,
      constraint agency_phone_numbers_phone_format
        check (phone_number ~ '^\+[1-9][0-9]{6,14}$')
    );

    comment on table agency_phone_numbers is
      'Purchased Telnyx phone numbers assigned to agencies, each with an agent mapping or without.';

    -- Supabase grants every new table to the roles of its REST API, and without row level security each tenant could read
    -- the numbers of all tenants. Grant it again, together with policies, if the REST API needs it.
    execute format('revoke all on table agency_phone_numbers from %s', outsiders);
  end if;

  if not exists (
    select
    from pg_trigger as t
    where t.tgrelid = 'agency_phone_numbers'::regclass
      and t.tgname = 'update_agency_phone_numbers_updated_at'
  ) then
    create trigger update_agency_phone_numbers_updated_at
    before update on agency_phone_numbers
    for each row
    execute function update_updated_at_column();
  end if;

  if to_regclass(home || '.v_agency_phone_numbers_with_agent') is null then
    create view v_agency_phone_numbers_with_agent as
    select
      n.id,
      n.agency_id,
      n.phone_number,
      n.phone_number_id,
      n.friendly_name,
      n.number_type,
      n.country_code,
      n.voice_enabled,
      n.sms_enabled,
      n.mms_enabled,
      n.agent_mapping_id,
      n.direction,
      n.monthly_cost,
      n.setup_cost,
      n.currency,
      n.status,
      n.is_active,
      n.purchased_at,
      n.released_at,
      n.created_at,
      n.updated_at,
      a.ultravox_agent_name,
      a.voice,
      a.language_hint
    from agency_phone_numbers as n
    left join agent_mappings as a
      on a.id = n.agent_mapping_id;

    -- The tables are read with the rights of whoever reads the view. Before Postgres 15 they are read with those of the
    -- view's owner, whatever row level security says, so there the REST API may not read the view.
    if current_setting('server_version_num')::integer >= 150000 then
      alter view v_agency_phone_numbers_with_agent set (security_invoker = true);
    else
      execute format('revoke all on table v_agency_phone_numbers_with_agent from %s', outsiders);
    end if;
  end if;
end
$objects$;

create index if not exists idx_agency_phones_agency_id
on agency_phone_numbers (agency_id);

create index if not exists idx_agency_phones_phone_number
on agency_phone_numbers (phone_number);

create index if not exists idx_agency_phones_agent_mapping
on agency_phone_numbers (agent_mapping_id)
where agent_mapping_id is not null;

create index if not exists idx_agency_phones_status
on agency_phone_numbers (status);

create index if not exists idx_agency_phones_active
on agency_phone_numbers (agency_id, is_active)
where is_active = true;

-- A number answers calls with an agent of its own agency, or with none.
--
-- The foreign key only requires that the agent exists. The functions check more than that, but a defect in one of them
-- must not connect a tenant's calls to another tenant's agent: so every write to the table is checked here.
create or replace function agency_phone_numbers_agent_same_agency()
returns trigger
language plpgsql
as $function$
begin
  -- The message is the same as for an agent that does not exist, so that a tenant cannot tell them apart.
  if not exists (
    select
    from agent_mappings as a
    where a.id = new.agent_mapping_id
      and a.agency_id = new.agency_id
  ) then
    raise exception using
      errcode = 'foreign_key_violation',
      message = format('agency %s has no agent %s', new.agency_id, new.agent_mapping_id),
      schema = tg_table_schema,
      table = tg_table_name,
      constraint = 'agency_phone_numbers_agent_same_agency';
  end if;

  return new;
end
$function$;

comment on function agency_phone_numbers_agent_same_agency() is
  'Refuses to attach an agent of another agency to a phone number, as a foreign key of this name would.';

-- Whatever the search path of the session that writes, the function reads the platform's `agent_mappings`: no other schema
-- and no temporary table comes before it.
do $search_path$
begin
  execute format(
    'alter function agency_phone_numbers_agent_same_agency() set search_path = %I, pg_temp',
    current_schema()
  );
end
$search_path$;

-- Triggers of one event fire in the order of their names. The one that sets updated_at fires after this one and changes
-- neither column. Another trigger that changes one of them has to fire before this one.
--
-- A row without an agent needs no check. That is also how `on delete set null` passes.
create or replace trigger agency_phone_numbers_agent_same_agency
before insert or update of agency_id, agent_mapping_id on agency_phone_numbers
for each row
when (new.agent_mapping_id is not null)
execute function agency_phone_numbers_agent_same_agency();
