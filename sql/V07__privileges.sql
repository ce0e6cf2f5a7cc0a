-- Who may use our tables and functions: their owner, and whoever the owner grants it to.
--
-- Every role may execute a new function. Supabase also grants every new table, sequence and function to the roles of its
-- REST API, but no tenant uses ours except through the functions. A trigger fires whoever writes the table: only attaching
-- its function to another table needs the privilege.
do $migration$
declare
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
  execute format(
    'revoke all on table
       phone_number_deployment,
       phone_number_purchases,
       phone_number_releases,
       phone_number_history,
       agency_phone_numbers_archive,
       phone_number_idempotency_keys,
       phone_number_idempotency_purchases,
       phone_number_inventory_walks,
       phone_number_sightings,
       phone_number_strangers,
       phone_number_findings
     from %s',
    outsiders
  );

  -- The record of the applied files, which psql does not keep.
  if to_regclass(quote_ident(current_schema()) || '.phone_number_migrations') is not null then
    execute format('revoke all on table phone_number_migrations from %s', outsiders);
  end if;

  execute format('revoke all on sequence phone_number_history_id_seq from %s', outsiders);

  execute format(
    'revoke all on function
       agency_phone_numbers_agent_same_agency(),
       phone_number_history_is_append_only(),
       agency_phone_numbers_history(),
       agency_phone_numbers_restore(jsonb)
     from %s',
    outsiders
  );
end
$migration$;
