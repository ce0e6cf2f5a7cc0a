-- What a database has already of the objects in the next files.
--
-- Many databases have the platform's table of phone numbers, or a part of what belongs to it. This file compares what is
-- there with the documentation and reports every contradiction in one message. The next files replace nothing that passes,
-- and create what is missing.
--
-- Contradictions: an enum with other labels; a column that is missing or has another type, default or nullability; a
-- constraint, index or trigger of the same name with another definition. Accepted: another order of the columns, and
-- further columns if an insert may leave them out. Every statement of ours names the columns it uses.
do $migration$
declare
  -- The schema of the platform's tables, quoted if necessary.
  home constant text := quote_ident(current_schema());
  phones constant regclass := to_regclass(quote_ident(current_schema()) || '.agency_phone_numbers');
  contradictions text[] := '{}';
  additions text[] := '{}';
  found_as text;
  labels text[];
  documented text[] := '{}';
  expected record;
begin
  -- Only the columns that these files refer to. The functions report any other column that they miss.
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

      -- uuid_generate_v4() may be in any schema.
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
      -- Also finds the same rule under another name, which is a contradiction: the functions identify a violated rule by
      -- its name.
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

      -- What the table lacks is added below. That fails if rows violate it.
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

    if found_as !~ ' BEFORE UPDATE ON .+ FOR EACH ROW EXECUTE FUNCTION (.+\.)?update_updated_at_column\(\)$' then
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

  -- A table that has the name of a ledger and is not it.
  for expected in
    select t.name, string_agg(c.definition, ', ' order by c.position) as missing
    from (values
      ('phone_number_purchases', array[
        'id uuid', 'order_id uuid', 'agency_id uuid', 'agency_phone_number_id uuid',
        'phone_number character varying(20)', 'deployment text', 'telnyx_account text', 'key_sha256 bytea',
        'connection_id text', 'telnyx_reference text', 'telnyx_order_id text', 'telnyx_phone_number_id text',
        'number_type character varying(50)', 'country_code character varying(5)', 'features text[]',
        'monthly_cost numeric(10,4)', 'upfront_cost numeric(10,4)', 'currency character varying(3)',
        'max_monthly_cost numeric(10,4)', 'max_upfront_cost numeric(10,4)', 'limit_currency character varying(3)',
        'requirements_met boolean', 'requirements_deadline timestamp with time zone', 'origin text', 'caller_id uuid',
        'customer_reference text', 'phase text', 'order_attempts integer', 'order_missed_at timestamp with time zone',
        'number_missed_at timestamp with time zone', 'failure_code text', 'failure_detail text', 'lease_token uuid',
        'leased_until timestamp with time zone', 'created_at timestamp with time zone',
        'updated_at timestamp with time zone', 'completed_at timestamp with time zone'
      ]),
      ('phone_number_releases', array[
        'id uuid', 'agency_id uuid', 'agency_phone_number_id uuid', 'phone_number character varying(20)',
        'deployment text', 'telnyx_account text', 'key_sha256 bytea', 'telnyx_phone_number_id text', 'caller_id uuid',
        'previous_status phone_number_status', 'previous_agent_mapping_id uuid', 'phase text', 'failure_code text',
        'failure_detail text', 'lease_token uuid', 'leased_until timestamp with time zone',
        'created_at timestamp with time zone', 'updated_at timestamp with time zone',
        'completed_at timestamp with time zone'
      ])
    ) as t (name, columns)
    cross join unnest(t.columns) with ordinality as c (definition, position)
    where to_regclass(home || '.' || t.name) is not null
      and not exists (
        select
        from pg_attribute as a
        join pg_class as r
          on r.oid = a.attrelid
          and r.relkind in ('r', 'p')
        where a.attrelid = to_regclass(home || '.' || t.name)
          and concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)) = c.definition
          and not a.attisdropped
      )
    group by t.name
  loop
    contradictions := contradictions || format('found %s without %s', expected.name, expected.missing);
  end loop;

  if contradictions <> '{}' then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format(
        E'this database contradicts the migration, which has changed nothing:\n- %s',
        array_to_string(contradictions, E'\n- ')
      );
  end if;

  if phones is null then
    return;
  end if;

  for expected in
    select a.statement
    from unnest(additions) as a (statement)
  loop
    execute expected.statement;
  end loop;

  -- A trigger will refuse an agent of another agency, but it checks only what is written from now on. Which of the two
  -- agencies is right in an existing row, only an operator can say.
  select string_agg(n.id::text, ', ' order by n.id)
  into found_as
  from agency_phone_numbers as n
  join agent_mappings as a
    on a.id = n.agent_mapping_id
  where a.agency_id is distinct from n.agency_id;

  if found_as is not null then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format(
        'these rows of agency_phone_numbers carry an agent of another agency; the migration has changed nothing: %s',
        found_as
      ),
      hint = 'Unassign those agents (set agent_mapping_id to null), then run the migration again.';
  end if;
end
$migration$;
