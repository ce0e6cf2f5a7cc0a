-- Released numbers that were bought again.
--
-- agency_phone_numbers has one row a number, and a released number keeps its row. Whoever buys the number again gets a new
-- row with a new id; the old one moves here, whole, and back should that purchase come to nothing. Its agency goes on
-- seeing it. No foreign keys: it outlives its agency as the history does.
do $migration$
declare
  home text;
  role_name text;
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

  -- For this transaction: beside the platform's tables, with uuid_generate_v4() found wherever it was installed.
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

  -- Puts a row back as it was, with whatever columns the table has by then; those that Postgres computes it computes anew.
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
      and a.attgenerated = '';

    execute format(
      'insert into agency_phone_numbers (%1$s) overriding system value
       select %1$s from jsonb_populate_record(null::agency_phone_numbers, $1)',
      columns
    )
    using record;

    return record ->> 'id';
  end
  $function$;

  comment on table agency_phone_numbers_archive is
    'Released rows of agency_phone_numbers whose number was bought again.';

  comment on column agency_phone_numbers_archive.id is
    'The row''s id, as it was.';

  comment on column agency_phone_numbers_archive.replaced_by is
    'The row of agency_phone_numbers that has the number now.';

  comment on column agency_phone_numbers_archive.record is
    'The whole row, columns that we do not know included, as to_jsonb() writes it.';

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table agency_phone_numbers_archive from %I', role_name);
  end loop;
end
$migration$;
