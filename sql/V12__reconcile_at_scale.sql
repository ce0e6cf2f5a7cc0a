-- What `phone-numbers-reconcile` needs with many purchases, many numbers in one account, and many findings.
do $migration$
declare
  home text;
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

  -- For this transaction: beside the platform's tables.
  perform set_config('search_path', concat_ws(', ', home, nullif(current_setting('search_path'), '')), true);

  -- The order in which unfinished purchases and releases are looked at: purchases with an unknown order first, then those
  -- looked at longest ago.
  drop index if exists idx_phone_number_purchases_longest_ago;
  drop index if exists idx_phone_number_releases_longest_ago;

  create index if not exists idx_phone_number_purchases_turn
  on phone_number_purchases ((phase = 'ordered'), updated_at, id)
  where phase in ('intended', 'ordering', 'ordered');

  create index if not exists idx_phone_number_releases_turn
  on phone_number_releases (updated_at, agency_phone_number_id)
  where phase = 'requested';
end
$migration$;
