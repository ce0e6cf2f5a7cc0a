-- What `phone-numbers-reconcile` needs with many purchases, many numbers in one account, and many findings.
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

  -- The accounts there are, and what was bought last in one.
  drop index if exists idx_phone_number_purchases_telnyx_account;

  create index if not exists idx_phone_number_purchases_account
  on phone_number_purchases (telnyx_account, completed_at);

  create index if not exists idx_phone_number_releases_account
  on phone_number_releases (telnyx_account);

  -- Findings: of more kinds, about one number or many.
  alter table phone_number_findings
    add column if not exists number_count bigint default 1 not null,
    drop constraint if exists phone_number_findings_kind_known,
    add constraint phone_number_findings_kind_known
      check (kind in (
        'not_ours', 'unproven_claim', 'agency_gone', 'held_by_another', 'released_but_billed', 'inventory_drift',
        'key_unproven', 'release_refused', 'order_missing', 'number_missing', 'number_moved', 'same_account'
      )),
    drop constraint if exists phone_number_findings_names_a_number,
    add constraint phone_number_findings_names_a_number
      check (
        (phone_number is not null or kind in ('not_ours', 'inventory_drift', 'key_unproven', 'same_account'))
        and (
          telnyx_phone_number_id is not null
          or kind not in ('unproven_claim', 'agency_gone', 'held_by_another', 'released_but_billed')
        )
      ),
    drop constraint if exists phone_number_findings_number_count_not_negative,
    add constraint phone_number_findings_number_count_not_negative
      check (number_count >= 0);

  -- The numbers of an account that are not ours are one finding from now on.
  update phone_number_findings as f
  set state = 'gone',
      resolved_at = now(),
      resolved_by = 'reconcile'
  where f.state = 'open'
    and f.kind = 'not_ours'
    and f.phone_number is not null;

  create index if not exists idx_phone_number_findings_phone_number
  on phone_number_findings (telnyx_account, phone_number)
  where state in ('open', 'dismissed');

  -- What is kept for a while only.
  create index if not exists idx_phone_number_findings_closed
  on phone_number_findings (resolved_at)
  where state <> 'open';

  create index if not exists idx_phone_number_purchases_failure_detail
  on phone_number_purchases (updated_at)
  where failure_detail is not null;

  create index if not exists idx_phone_number_releases_failure_detail
  on phone_number_releases (updated_at)
  where failure_detail is not null;

  -- What the walks have seen of each row, instead of lists that grow with the account. Half of every page is kept free: each
  -- walk dates all rows of its account anew, in place.
  create table if not exists phone_number_sightings (
    telnyx_account text not null,
    agency_phone_number_id uuid not null,
    seen_at timestamptz not null,
    constraint phone_number_sightings_pkey
      primary key (telnyx_account, agency_phone_number_id)
  ) with (fillfactor = 50);

  create table if not exists phone_number_strangers (
    telnyx_account text not null,
    phone_number varchar(20) not null,
    telnyx_phone_number_id text not null,
    telnyx_reference text,
    key_sha256 bytea not null,
    seen_at timestamptz not null,
    constraint phone_number_strangers_pkey
      primary key (telnyx_account, phone_number),
    constraint phone_number_strangers_key_is_sha256
      check (octet_length(key_sha256) = 32)
  ) with (fillfactor = 50);

  -- An unfinished walk starts over: what it had seen is not kept.
  if exists (
    select
    from pg_attribute as a
    where a.attrelid = to_regclass(home || '.phone_number_inventory_walks')
      and a.attname = 'seen'
      and not a.attisdropped
  ) then
    update phone_number_inventory_walks as w
    set next_page = 1,
        lease_token = null,
        leased_until = null;
  end if;

  alter table phone_number_inventory_walks
    drop column if exists seen,
    drop column if exists missed,
    add column if not exists window_digits text default '' not null,
    add column if not exists refused_page integer,
    add column if not exists page_limit integer,
    add column if not exists failed_runs integer default 0 not null,
    add column if not exists is_whole boolean default true not null,
    add column if not exists previous_started_at timestamptz,
    add column if not exists created_at timestamptz default now() not null,
    drop constraint if exists phone_number_inventory_walks_window_digits,
    add constraint phone_number_inventory_walks_window_digits
      check (window_digits ~ '^([1-9][0-9]{2,14})?$'),
    drop constraint if exists phone_number_inventory_walks_page_limit_beyond_first,
    add constraint phone_number_inventory_walks_page_limit_beyond_first
      check (page_limit > 1),
    drop constraint if exists phone_number_inventory_walks_begun_is_dated,
    add constraint phone_number_inventory_walks_begun_is_dated
      check ((next_page = 1 and window_digits = '') or started_at is not null);

  comment on column phone_number_findings.kind is
    'not_ours: numbers in the account that no purchase of ours names; '
    'unproven_claim: a number that a purchase of ours names and that nothing proves to be ours; '
    'agency_gone: a number of ours whose agency is no more; '
    'held_by_another: a number of ours whose row is another agency''s; '
    'released_but_billed: a number that its row says was released; '
    'inventory_drift: rows without a number at Telnyx, more than can be believed, or in an account that is not known again; '
    'key_unproven: the account''s API key answers for nothing that the ledger has there; '
    'release_refused: Telnyx does not delete the number; '
    'order_missing: the account does not know the order of a purchase any more; '
    'number_missing: the order of a purchase succeeded, and the account does not have the number; '
    'number_moved: another account has the number than the one that it was bought in; '
    'same_account: two names of accounts have the same numbers.';

  comment on column phone_number_findings.number_count is
    'How many numbers it is about. When it was dismissed: how many it was about then.';

  comment on column phone_number_findings.agency_phone_number_ids is
    'The rows concerned, or the first thousand of them.';

  comment on column phone_number_purchases.failure_detail is
    'The same for people, for as long as it is kept.';

  comment on column phone_number_releases.failure_detail is
    'The same for people, for as long as it is kept.';

  comment on table phone_number_sightings is
    'When the numbers of rows were last seen in the inventory of an account.';

  comment on column phone_number_sightings.seen_at is
    'When the walk began that saw the number.';

  comment on table phone_number_strangers is
    'The numbers of an account that no purchase of ours names. Together they are one finding of kind not_ours.';

  comment on column phone_number_strangers.key_sha256 is
    'SHA-256 of the API key that showed the number last.';

  comment on column phone_number_strangers.seen_at is
    'When the walk began that saw the number.';

  comment on column phone_number_inventory_walks.window_digits is
    'The walk reads the numbers that contain these digits; empty: all numbers of the account.';

  comment on column phone_number_inventory_walks.refused_page is
    'The page that Telnyx did not serve when it was asked for last.';

  comment on column phone_number_inventory_walks.page_limit is
    'Telnyx serves no pages from this one on: what lies beyond is read through windows.';

  comment on column phone_number_inventory_walks.failed_runs is
    'In how many runs in a row the page failed.';

  comment on column phone_number_inventory_walks.is_whole is
    'Whether the walk has skipped nothing so far.';

  comment on column phone_number_inventory_walks.started_at is
    'When the walk began that is under way, or that ended last.';

  comment on column phone_number_inventory_walks.previous_started_at is
    'When the last whole walk began. A row that was seen neither by it nor by the next whole walk is missing.';

  comment on column phone_number_inventory_walks.finished_at is
    'When the last whole walk ended.';

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_sightings from %I', role_name);
    execute format('revoke all on table phone_number_strangers from %I', role_name);
  end loop;
end
$migration$;
