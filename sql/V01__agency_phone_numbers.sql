-- The platform's table of phone numbers, to the letter of its documentation: enums, table, constraints, indexes,
-- trigger and view.
--
-- On many databases part of this exists already. So the file first looks at what is there, and says everything that
-- contradicts it in one message; only then does it create what is missing. It never replaces or alters what it finds.
-- What counts as a contradiction: an enum with other labels; a column that is missing, or of another type, default or
-- nullability; a constraint, index or trigger of the same name that means something else. What does not: the order of
-- the columns, and further columns as long as a row can be inserted without them, since every statement of ours names
-- the columns it uses.
--
-- It is one `do` block because a block is atomic wherever it runs: in the transaction of a migration tool, or under
-- plain psql, where each statement of a file commits by itself.
do $migration$
declare
  -- The schema the platform's tables are in, quoted where necessary. Ours go beside them.
  home text;
  phones regclass;
  contradictions text[] := '{}';
  additions text[] := '{}';
  found_as text;
  labels text[];
  documented text[] := '{}';
  expected record;
begin
  -- 1. The platform comes first.

  select c.relnamespace::regnamespace::text
  into home
  from pg_class as c
  where c.oid = to_regclass('agencies');

  if home is null then
    raise exception using
      errcode = 'undefined_table',
      message = 'table agencies does not exist: the platform''s tables come before these migrations',
      hint = 'On a database of your own, run sql/platform.sql first.';
  end if;

  if to_regclass(home || '.agent_mappings') is null then
    raise exception using
      errcode = 'undefined_table',
      message = format(
        'table %s.agent_mappings does not exist: the platform''s tables come before these migrations',
        home
      ),
      hint = 'On a database of your own, run sql/platform.sql first.';
  end if;

  -- For this transaction: unqualified names mean the platform's schema, and uuid_generate_v4() is found wherever its
  -- extension was installed (Supabase keeps extensions in a schema of their own).
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

  phones := to_regclass(home || '.agency_phone_numbers');

  -- 2. What is there already, and does it contradict us?

  -- Only what this file itself refers to. A platform that lacks other columns is a matter for the functions using them.
  for expected in
    select c.table_name, c.column_name, c.type
    from (values
      ('agencies', 'id', 'uuid'),
      ('agent_mappings', 'id', 'uuid'),
      ('agent_mappings', 'agency_id', 'uuid'),
      ('agent_mappings', 'ultravox_agent_name', null),
      ('agent_mappings', 'voice', null),
      ('agent_mappings', 'language_hint', null)
    ) as c (table_name, column_name, type)
  loop
    select format_type(a.atttypid, a.atttypmod)
    into found_as
    from pg_attribute as a
    where a.attrelid = to_regclass(home || '.' || expected.table_name)
      and a.attname = expected.column_name
      and a.attnum > 0
      and not a.attisdropped;

    if found_as is null or found_as <> expected.type then
      contradictions := contradictions || format(
        'column %s.%s: found %s, expected %s',
        expected.table_name,
        expected.column_name,
        coalesce(found_as, 'none'),
        coalesce(expected.type, 'one')
      );
    end if;
  end loop;

  for expected in
    select t.name, t.labels
    from (values
      ('call_direction', array['inbound', 'outbound']),
      ('phone_number_status', array['pending', 'active', 'inactive', 'released'])
    ) as t (name, labels)
  loop
    if to_regtype(expected.name) is not null then
      labels := array(
        select e.enumlabel::text
        from pg_enum as e
        where e.enumtypid = to_regtype(expected.name)
        order by e.enumsortorder
      );

      if not (labels @> expected.labels and labels <@ expected.labels) then
        contradictions := contradictions || format(
          'enum %s: found %s, expected %s',
          expected.name,
          coalesce(nullif(array_to_string(labels, ', '), ''), 'a type without labels'),
          array_to_string(expected.labels, ', ')
        );
      end if;
    end if;
  end loop;

  if exists (
    select
    from pg_proc as p
    where p.oid = to_regprocedure('update_updated_at_column()')
      and p.prorettype <> 'trigger'::regtype
  ) then
    contradictions := contradictions
      || 'function update_updated_at_column(): found one that is no trigger function, expected one that is'::text;
  end if;

  if phones is not null then
    select case c.relkind when 'v' then 'a view' when 'm' then 'a materialized view' else 'another relation' end
    into found_as
    from pg_class as c
    where c.oid = phones
      and c.relkind not in ('r', 'p');

    if found_as is not null then
      contradictions := contradictions || format('agency_phone_numbers: found %s, expected a table', found_as);
    end if;
  end if;

  if phones is not null and found_as is null then
    for expected in
      select c.name, concat_ws(' ', c.type, 'default ' || c.default_value, c.nullability) as definition
      from (values
        ('id', 'uuid', 'uuid_generate_v4()', 'not null'),
        ('agency_id', 'uuid', null, 'not null'),
        ('phone_number', 'character varying(20)', null, 'not null'),
        ('phone_number_id', 'character varying(255)', null, null),
        ('friendly_name', 'character varying(255)', null, null),
        ('number_type', 'character varying(50)', null, null),
        ('country_code', 'character varying(5)', null, null),
        ('voice_enabled', 'boolean', 'true', 'not null'),
        ('sms_enabled', 'boolean', 'false', 'not null'),
        ('mms_enabled', 'boolean', 'false', 'not null'),
        ('agent_mapping_id', 'uuid', null, null),
        ('direction', 'call_direction', '''inbound''::call_direction', null),
        ('monthly_cost', 'numeric(10,4)', null, null),
        ('setup_cost', 'numeric(10,4)', null, null),
        ('currency', 'character varying(3)', '''USD''::character varying', 'not null'),
        ('status', 'phone_number_status', '''pending''::phone_number_status', 'not null'),
        ('is_active', 'boolean', 'true', 'not null'),
        ('purchased_at', 'timestamp with time zone', null, null),
        ('released_at', 'timestamp with time zone', null, null),
        ('created_at', 'timestamp with time zone', 'now()', 'not null'),
        ('updated_at', 'timestamp with time zone', 'now()', 'not null')
      ) as c (name, type, default_value, nullability)
    loop
      documented := documented || expected.name;

      -- Which schema uuid_generate_v4() lives in is no contradiction.
      select concat_ws(
        ' ',
        format_type(a.atttypid, a.atttypmod),
        'default ' || regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^\S+\.(?=uuid_generate_v4\(\)$)', ''),
        case when a.attnotnull then 'not null' end
      )
      into found_as
      from pg_attribute as a
      left join pg_attrdef as d
        on d.adrelid = a.attrelid
        and d.adnum = a.attnum
      where a.attrelid = phones
        and a.attname = expected.name
        and a.attnum > 0
        and not a.attisdropped;

      if found_as is distinct from expected.definition then
        contradictions := contradictions || format(
          'column agency_phone_numbers.%s: found %s, expected %s',
          expected.name,
          coalesce(found_as, 'none'),
          expected.definition
        );
      end if;
    end loop;

    for expected in
      select a.attname as name
      from pg_attribute as a
      where a.attrelid = phones
        and a.attnum > 0
        and not a.attisdropped
        and a.attnotnull
        and not a.atthasdef
        and a.attidentity = ''
        and a.attname <> all (documented)
    loop
      contradictions := contradictions || format(
        'column agency_phone_numbers.%s: found not null without a default, expected one that an insert may leave out',
        expected.name
      );
    end loop;

    for expected in
      select c.name, c.definition
      from (values
        ('agency_phone_numbers_pkey', 'PRIMARY KEY (id)'),
        ('agency_phone_numbers_phone_unique', 'UNIQUE (phone_number)'),
        (
          'agency_phone_numbers_agency_id_fkey',
          'FOREIGN KEY (agency_id) REFERENCES agencies(id) ON DELETE CASCADE'
        ),
        (
          'agency_phone_numbers_agent_mapping_id_fkey',
          'FOREIGN KEY (agent_mapping_id) REFERENCES agent_mappings(id) ON DELETE SET NULL'
        ),
        (
          'agency_phone_numbers_phone_format',
          'CHECK (((phone_number)::text ~ ''^\+[1-9][0-9]{6,14}$''::text))'
        )
      ) as c (name, definition)
    loop
      -- The same rule under another name counts as found: the functions tell violations apart by the constraint's name.
      select format('%s %s', c.conname, pg_get_constraintdef(c.oid))
      into found_as
      from pg_constraint as c
      where c.conrelid = phones
        and (
          c.conname = expected.name
          or pg_get_constraintdef(c.oid) = expected.definition
          or (c.contype = 'p' and expected.definition like 'PRIMARY KEY %')
        )
      order by c.conname = expected.name desc
      limit 1;

      if found_as is null then
        additions := additions || format(
          'alter table agency_phone_numbers add constraint %I %s',
          expected.name,
          expected.definition
        );
      elsif found_as <> format('%s %s', expected.name, expected.definition) then
        contradictions := contradictions || format(
          'constraint of agency_phone_numbers: found %s, expected %s %s',
          found_as,
          expected.name,
          expected.definition
        );
      end if;
    end loop;

    select pg_get_triggerdef(t.oid)
    into found_as
    from pg_trigger as t
    where t.tgrelid = phones
      and t.tgname = 'update_agency_phone_numbers_updated_at';

    if found_as !~ ' BEFORE UPDATE ON \S+ FOR EACH ROW EXECUTE FUNCTION (\S+\.)?update_updated_at_column\(\)$' then
      contradictions := contradictions || format(
        'trigger of agency_phone_numbers: found %s, expected BEFORE UPDATE FOR EACH ROW EXECUTE FUNCTION %s',
        found_as,
        'update_updated_at_column()'
      );
    end if;
  end if;

  for expected in
    select
      i.name,
      format('CREATE INDEX %I ON %s.agency_phone_numbers USING %s', i.name, home, i.definition) as definition
    from (values
      ('idx_agency_phones_agency_id', 'btree (agency_id)'),
      ('idx_agency_phones_phone_number', 'btree (phone_number)'),
      ('idx_agency_phones_agent_mapping', 'btree (agent_mapping_id) WHERE (agent_mapping_id IS NOT NULL)'),
      ('idx_agency_phones_status', 'btree (status)'),
      ('idx_agency_phones_active', 'btree (agency_id, is_active) WHERE (is_active = true)')
    ) as i (name, definition)
    where to_regclass(home || '.' || i.name) is not null
  loop
    found_as := pg_get_indexdef(to_regclass(home || '.' || expected.name));

    if found_as is distinct from expected.definition then
      contradictions := contradictions || format(
        'index %s: found %s, expected %s',
        expected.name,
        coalesce(found_as, 'something that is no index'),
        expected.definition
      );
    end if;
  end loop;

  if to_regclass(home || '.v_agency_phone_numbers_with_agent') is not null then
    select string_agg(c.name, ', ')
    into found_as
    from unnest(array[
      'id', 'agency_id', 'phone_number', 'phone_number_id', 'friendly_name', 'number_type', 'country_code',
      'voice_enabled', 'sms_enabled', 'mms_enabled', 'agent_mapping_id', 'direction', 'monthly_cost', 'setup_cost',
      'currency', 'status', 'is_active', 'purchased_at', 'released_at', 'created_at', 'updated_at',
      'ultravox_agent_name', 'voice', 'language_hint'
    ]) as c (name)
    where not exists (
      select
      from pg_attribute as a
      where a.attrelid = to_regclass(home || '.v_agency_phone_numbers_with_agent')
        and a.attname = c.name
        and not a.attisdropped
    );

    if found_as is not null then
      contradictions := contradictions || format(
        'view v_agency_phone_numbers_with_agent: found one without %s, expected it with the table''s and the agent''s',
        found_as
      );
    end if;
  end if;

  if contradictions <> '{}' then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format(
        E'this database contradicts the migration, which has changed nothing:\n- %s',
        array_to_string(contradictions, E'\n- ')
      );
  end if;

  -- 3. Create what is missing.

  if to_regprocedure('uuid_generate_v4()') is null then
    if exists (select from pg_available_extensions where name = 'uuid-ossp') then
      create extension "uuid-ossp";
    else
      -- A server without the contrib modules: the same version 4 uuid, from the server itself.
      create function uuid_generate_v4()
      returns uuid
      language sql
      volatile
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
  end if;

  if phones is null then
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

    -- Supabase grants every new table to the roles of its REST API. A table without row level security would show
    -- each tenant the numbers of all: whoever wants it readable there grants it again, with policies.
    for expected in
      select r.rolname as name
      from pg_roles as r
      where r.rolname in ('anon', 'authenticated')
    loop
      execute format('revoke all on table agency_phone_numbers from %I', expected.name);
    end loop;
  end if;

  -- Constraints missing from a table that was there. Rows that violate one stop the migration here, and undo it.
  for expected in
    select a.statement
    from unnest(additions) as a (statement)
  loop
    execute expected.statement;
  end loop;

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

  if not exists (
    select
    from pg_trigger as t
    where t.tgrelid = to_regclass(home || '.agency_phone_numbers')
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

    -- Whoever reads the view sees what they may see of the tables beneath it. A server older than 15 cannot be told
    -- so and would read them as the view's owner, past any row level security: there the REST API is kept out.
    if current_setting('server_version_num')::integer >= 150000 then
      alter view v_agency_phone_numbers_with_agent set (security_invoker = true);
    else
      for expected in
        select r.rolname as name
        from pg_roles as r
        where r.rolname in ('anon', 'authenticated')
      loop
        execute format('revoke all on table v_agency_phone_numbers_with_agent from %I', expected.name);
      end loop;
    end if;
  end if;
end
$migration$;
