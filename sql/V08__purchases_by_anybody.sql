-- What anybody needs who goes on with a purchase that somebody else began, and purchases that nobody asked for here:
-- adopted from Telnyx' inventory, or left behind by functions from before the ledger.
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

  alter table phone_number_purchases
    add column if not exists telnyx_reference text,
    add column if not exists origin text default 'requested' not null,
    add column if not exists max_monthly_cost numeric(10, 4),
    add column if not exists max_upfront_cost numeric(10, 4),
    add column if not exists limit_currency varchar(3),
    add column if not exists requirements_deadline timestamptz,
    alter column caller_id drop not null;

  -- Orders placed until now carry the purchase's id alone.
  update phone_number_purchases as p
  set telnyx_reference = p.id::text
  where p.telnyx_reference is null;

  alter table phone_number_purchases
    alter column telnyx_reference set not null,
    drop constraint if exists phone_number_purchases_origin_known,
    add constraint phone_number_purchases_origin_known
      check (origin in ('requested', 'adopted', 'backfilled')),
    drop constraint if exists phone_number_purchases_requested_has_caller,
    add constraint phone_number_purchases_requested_has_caller
      check (origin <> 'requested' or caller_id is not null),
    drop constraint if exists phone_number_purchases_limits_have_currency,
    add constraint phone_number_purchases_limits_have_currency
      check (limit_currency is not null or (max_monthly_cost is null and max_upfront_cost is null)),
    -- A number that nobody asked for here has an order that nobody may remember.
    drop constraint if exists phone_number_purchases_completed_is_complete,
    add constraint phone_number_purchases_completed_is_complete
      check (
        phase <> 'completed'
        or (
          (telnyx_order_id is not null or origin <> 'requested')
          and telnyx_phone_number_id is not null
          and completed_at is not null
        )
      );

  create unique index if not exists phone_number_purchases_telnyx_reference_unique
  on phone_number_purchases (telnyx_reference);

  create index if not exists idx_phone_number_purchases_telnyx_order_id
  on phone_number_purchases (telnyx_order_id);

  -- Whose turn it is: whatever was looked at longest ago.
  create index if not exists idx_phone_number_purchases_longest_ago
  on phone_number_purchases (updated_at)
  where phase in ('intended', 'ordering', 'ordered');

  create index if not exists idx_phone_number_releases_longest_ago
  on phone_number_releases (updated_at)
  where phase = 'requested';

  -- The accounts there are.
  create index if not exists idx_phone_number_purchases_telnyx_account
  on phone_number_purchases (telnyx_account);

  comment on column phone_number_purchases.id is
    'Our id of the purchase; part of telnyx_reference.';

  comment on column phone_number_purchases.telnyx_reference is
    'The customer_reference of the order at Telnyx, by which an order whose answer was lost is found again, and a number '
    'by a database that has forgotten it: it names the agency and the purchase.';

  comment on column phone_number_purchases.origin is
    'requested: by caller_id; adopted: found at Telnyx under a reference of ours; '
    'backfilled: the row is from before the ledger.';

  comment on column phone_number_purchases.max_monthly_cost is
    'The most that the caller pays each month, in limit_currency; null when the caller set no limit.';

  comment on column phone_number_purchases.max_upfront_cost is
    'The most that the caller pays once, in limit_currency; null when the caller set no limit.';

  comment on column phone_number_purchases.requirements_deadline is
    'Until when Telnyx waits for the documents that it lacks.';
end
$migration$;
