-- Who may use our tables and functions: their owner, and whoever the owner grants it to.
--
-- Supabase grants every new table to the roles of its REST API. No tenant reads these tables except through the functions.
do $migration$
declare
  role_name text;
begin
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
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
       from %I',
      role_name
    );

    -- The record of these files, which psql does not keep.
    if to_regclass('phone_number_migrations') is not null then
      execute format('revoke all on table phone_number_migrations from %I', role_name);
    end if;
  end loop;
end
$migration$;

-- Every role may execute a new function.
revoke execute on function agency_phone_numbers_restore(jsonb) from public;
