-- A phone number answers with an agent of its own agency, or with none.
--
-- The foreign key only knows that the agent exists. The functions look further, but a tenant's calls reaching another
-- tenant's agent is not a thing to leave to the absence of bugs: the database refuses it, on every path into the table.
do $migration$
declare
  home text;
  strays text;
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

  perform set_config('search_path', concat_ws(', ', home, nullif(current_setting('search_path'), '')), true);

  -- The trigger only sees what is written from now on. A table that was here before us may hold such a pair already,
  -- and which of the two agencies is right, a migration cannot know.
  select string_agg(n.id::text, ', ' order by n.id)
  into strays
  from agency_phone_numbers as n
  join agent_mappings as a
    on a.id = n.agent_mapping_id
  where a.agency_id is distinct from n.agency_id;

  if strays is not null then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format(
        'these rows of agency_phone_numbers carry an agent of another agency; the migration has changed nothing: %s',
        strays
      ),
      hint = 'Unassign those agents (set agent_mapping_id to null), then run the migration again.';
  end if;

  if to_regprocedure(home || '.agency_phone_numbers_agent_same_agency()') is null then
    create function agency_phone_numbers_agent_same_agency()
    returns trigger
    language plpgsql
    as $function$
    begin
      -- An agent of another agency is refused in the words for one that never was: a tenant cannot tell them apart.
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

    -- `agent_mappings` in there is the platform's, whatever the search path of the session that writes: no schema of
    -- its choosing, and no temporary table, comes before it.
    execute format(
      'alter function agency_phone_numbers_agent_same_agency() set search_path = %s, pg_temp',
      home
    );

    comment on function agency_phone_numbers_agent_same_agency() is
      'Refuses to attach an agent of another agency to a phone number, as a foreign key of this name would.';
  end if;

  -- Triggers before a write fire in the order of their names. The one after this, which sets updated_at, touches
  -- neither column; whoever adds one that does must let it fire earlier, and on writes that name these columns.
  -- Without an agent there is nothing to check, which is also how `on delete set null` passes.
  if not exists (
    select
    from pg_trigger as t
    where t.tgrelid = to_regclass(home || '.agency_phone_numbers')
      and t.tgname = 'agency_phone_numbers_agent_same_agency'
  ) then
    create trigger agency_phone_numbers_agent_same_agency
    before insert or update of agency_id, agent_mapping_id on agency_phone_numbers
    for each row
    when (new.agent_mapping_id is not null)
    execute function agency_phone_numbers_agent_same_agency();
  end if;
end
$migration$;
