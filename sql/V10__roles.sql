-- The roles that the functions connect with. Each can do what its functions do, and no more:
--
-- phone_numbers_read    search and list
-- phone_numbers_assign  assign
-- phone_numbers_spend   purchase, release and reconcile
--
-- None can log in. A login that is a member of one of them connects for a function; `cargo dev logins` makes them. Only migrate
-- connects as the owner.
--
-- Roles belong to the whole cluster. Another database of the cluster may have made them, even at the same time; what they may do
-- is granted for each database. Nothing here needs a superuser: the owner makes roles if it has CREATEROLE, as on RDS and
-- Supabase, and needs nothing if they exist.
do $roles$
declare
  home constant text := quote_ident(current_schema());
  outsiders constant text := concat_ws(
    ', ',
    'public',
    (
      select string_agg(quote_ident(r.rolname), ', ')
      from pg_roles as r
      where r.rolname in ('anon', 'authenticated')
    )
  );
  role_name text;
  columns text;
  wanted record;
begin
  foreach role_name in array array['phone_numbers_read', 'phone_numbers_assign', 'phone_numbers_spend']
  loop
    if not exists (select from pg_roles as r where r.rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception
        -- Another database's migration was faster.
        when duplicate_object or unique_violation then
          null;
        when insufficient_privilege then
          raise exception using
            errcode = 'insufficient_privilege',
            message = format('role %s does not exist, and %s may not create it', role_name, current_user),
            hint = format('Have a role with CREATEROLE run: create role %I nologin; then migrate again.', role_name);
      end;
    end if;

    if not has_schema_privilege(role_name, current_schema(), 'usage') then
      execute format('grant usage on schema %s to %I', home, role_name);
    end if;
  end loop;

  -- The platform's tables, which may lack a column: the functions that need it report that.
  for wanted in
    select w.table_name, w.roles, w.columns
    from (values
      ('users', 'phone_numbers_read, phone_numbers_assign, phone_numbers_spend', array['id', 'agency_id', 'role']),
      (
        'agent_mappings',
        'phone_numbers_read, phone_numbers_assign, phone_numbers_spend',
        array[
          'id', 'agency_id', 'ultravox_agent_id', 'ultravox_agent_name', 'voice', 'language_hint', 'recording_enabled'
        ]
      ),
      ('agencies', 'phone_numbers_spend', array['id', 'telnyx_application_id', 'settings'])
    ) as w (table_name, roles, columns)
  loop
    select string_agg(quote_ident(a.attname), ', ')
    into columns
    from pg_attribute as a
    where a.attrelid = to_regclass(home || '.' || wanted.table_name)
      and a.attname = any (wanted.columns)
      and not a.attisdropped;

    if columns is not null then
      execute format('grant select (%s) on %s.%I to %s', columns, home, wanted.table_name, wanted.roles);
    end if;
  end loop;

  execute format('revoke all on table phone_number_search_rates, phone_number_purchase_rates from %s', outsiders);
end
$roles$;

-- All of them read the rows, and of the ledger what a pending row shows.
grant select on agency_phone_numbers, agency_phone_numbers_archive
to phone_numbers_read, phone_numbers_assign, phone_numbers_spend;

grant select (id, agency_id, agency_phone_number_id, phase, requirements_met, requirements_deadline) on phone_number_purchases
to phone_numbers_read, phone_numbers_assign;

-- Search counts.
grant select, insert, update on phone_number_search_rates
to phone_numbers_read;

-- Assign changes the columns that a request can set, and shows the history. The trigger that writes it has the rights of its owner.
grant update (agent_mapping_id, direction, friendly_name, voice_enabled, sms_enabled, mms_enabled, status) on agency_phone_numbers
to phone_numbers_assign;

grant select on phone_number_history
to phone_numbers_assign, phone_numbers_spend;

-- Purchase, release and reconcile. The ledgers are never deleted, and the history is only added to.
grant insert, update, delete on agency_phone_numbers
to phone_numbers_spend;

grant insert, delete on agency_phone_numbers_archive
to phone_numbers_spend;

grant execute on function agency_phone_numbers_restore(jsonb)
to phone_numbers_spend;

grant select on phone_number_deployment
to phone_numbers_spend;

grant select, insert, update on phone_number_purchases, phone_number_releases
to phone_numbers_spend;

grant insert on phone_number_history
to phone_numbers_spend;

grant select, insert, update, delete on
  phone_number_idempotency_keys,
  phone_number_idempotency_purchases,
  phone_number_inventory_walks,
  phone_number_sightings,
  phone_number_strangers,
  phone_number_findings,
  phone_number_purchase_rates
to phone_numbers_spend;

-- Reconcile deletes what has grown back.
grant select, delete on phone_number_search_rates
to phone_numbers_spend;
