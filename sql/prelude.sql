-- Runs before the numbered files, in the same session. It checks that the platform's tables exist and sets the search
-- path; it creates nothing. `cargo dev migrate` and `phone-numbers-migrate` run it themselves. With psql:
--
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 --single-transaction $(printf -- '-f %s ' sql/prelude.sql sql/V*.sql)
--
-- Unqualified names in the numbered files then mean the schema of the platform's tables, whichever it is: our objects are
-- created there. `uuid_generate_v4()` is found in whichever schema its extension is installed (Supabase has a schema for
-- extensions).
do $prelude$
declare
  -- The schema of the platform's tables, quoted if necessary.
  home text;
begin
  select c.relnamespace::regnamespace::text
  into home
  from pg_class as c
  where c.oid = to_regclass('agencies');

  if home is null or to_regclass(home || '.agent_mappings') is null then
    raise exception using
      errcode = 'undefined_table',
      message = format(
        'table %s does not exist: the platform''s tables come before these migrations',
        coalesce(home || '.agent_mappings', 'agencies')
      ),
      hint = 'On a database of your own, run sql/platform.sql first.';
  end if;

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
    false
  );
end
$prelude$;
