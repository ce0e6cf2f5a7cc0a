-- What `phone-numbers-reconcile` remembers of its comparison with Telnyx's inventory, and what it leaves to an operator.

-- Walks: how far the walk through the inventory of each account has come.
--
-- A walk goes on over many runs. Telnyx does not serve pages beyond a certain one; numbers beyond it are read through
-- windows, which are the numbers that contain certain digits.
create table if not exists phone_number_inventory_walks (
  telnyx_account text not null,
  next_page integer default 1 not null,
  window_digits text default '' not null,
  page_limit integer,
  refused_page integer,
  failed_runs integer default 0 not null,
  is_whole boolean default true not null,
  previous_started_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  visited_at timestamptz default now() not null,
  created_at timestamptz default now() not null,
  lease_token uuid,
  leased_until timestamptz,
  constraint phone_number_inventory_walks_pkey
    primary key (telnyx_account),
  constraint phone_number_inventory_walks_next_page_positive
    check (next_page > 0),
  constraint phone_number_inventory_walks_window_digits
    check (window_digits ~ '^([1-9][0-9]{2,14})?$'),
  constraint phone_number_inventory_walks_page_limit_beyond_first
    check (page_limit > 1),
  constraint phone_number_inventory_walks_begun_is_dated
    check ((next_page = 1 and window_digits = '') or started_at is not null),
  constraint phone_number_inventory_walks_lease_is_whole
    check ((lease_token is null) = (leased_until is null))
);

comment on table phone_number_inventory_walks is
  'How far the walk through the inventory of each account at Telnyx has come.';

comment on column phone_number_inventory_walks.window_digits is
  'The walk reads the numbers that contain these digits; empty: all numbers of the account.';

comment on column phone_number_inventory_walks.page_limit is
  'Telnyx serves no pages from this one on: what lies beyond is read through windows.';

comment on column phone_number_inventory_walks.refused_page is
  'The page that Telnyx did not serve when it was asked for last.';

comment on column phone_number_inventory_walks.failed_runs is
  'In how many runs in a row the page failed.';

comment on column phone_number_inventory_walks.is_whole is
  'Whether the walk has skipped nothing so far.';

comment on column phone_number_inventory_walks.previous_started_at is
  'When the last whole walk began. A row that was seen neither by it nor by the next whole walk is missing.';

comment on column phone_number_inventory_walks.started_at is
  'When the walk began that is under way, or that ended last.';

comment on column phone_number_inventory_walks.finished_at is
  'When the last whole walk ended.';

comment on column phone_number_inventory_walks.visited_at is
  'When somebody last walked here, however far: the one that waits longest is next.';

-- Sightings: when the walks saw the number of each row. Half of each page is kept free, because each walk updates all rows
-- of its account, and an update finds room in the same page.
create table if not exists phone_number_sightings (
  telnyx_account text not null,
  agency_phone_number_id uuid not null,
  seen_at timestamptz not null,
  constraint phone_number_sightings_pkey
    primary key (telnyx_account, agency_phone_number_id)
) with (fillfactor = 50);

comment on table phone_number_sightings is
  'When the numbers of rows were last seen in the inventory of an account.';

comment on column phone_number_sightings.seen_at is
  'When the walk began that saw the number.';

-- Strangers: numbers at Telnyx that no purchase of ours names. Updated by each walk, as sightings are.
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

comment on table phone_number_strangers is
  'The numbers of an account that no purchase of ours names. Together they are one finding of kind not_ours.';

comment on column phone_number_strangers.key_sha256 is
  'SHA-256 of the API key that showed the number last.';

comment on column phone_number_strangers.seen_at is
  'When the walk began that saw the number.';

-- Findings: what an operator has to look at, about one number or many.
create table if not exists phone_number_findings (
  id uuid default uuid_generate_v4() not null,
  kind text not null,
  telnyx_account text not null,
  key_sha256 bytea,
  phone_number varchar(20),
  telnyx_phone_number_id text,
  telnyx_reference text,
  number_count bigint default 1 not null,
  agency_id uuid,
  agency_phone_number_ids uuid[] default '{}' not null,
  detail text not null,
  state text default 'open' not null,
  first_seen_at timestamptz default now() not null,
  last_seen_at timestamptz default now() not null,
  resolved_at timestamptz,
  resolved_by text,
  constraint phone_number_findings_pkey
    primary key (id),
  constraint phone_number_findings_kind_known
    check (
      kind in (
        'not_ours', 'unproven_claim', 'agency_gone', 'held_by_another', 'released_but_billed', 'inventory_drift',
        'key_unproven', 'release_refused', 'order_missing', 'number_missing', 'number_moved', 'same_account'
      )
    ),
  constraint phone_number_findings_key_is_sha256
    check (octet_length(key_sha256) = 32),
  constraint phone_number_findings_names_a_number
    check (
      (phone_number is not null or kind in ('not_ours', 'inventory_drift', 'key_unproven', 'same_account'))
      and (
        telnyx_phone_number_id is not null
        or kind not in ('unproven_claim', 'agency_gone', 'held_by_another', 'released_but_billed')
      )
    ),
  constraint phone_number_findings_number_count_not_negative
    check (number_count >= 0),
  constraint phone_number_findings_state_known
    check (state in ('open', 'adopted', 'dismissed', 'gone')),
  constraint phone_number_findings_resolved_is_whole
    check ((state = 'open') = (resolved_at is null) and (state = 'open') = (resolved_by is null))
);

-- A dismissed finding is not opened again for the same rows, however often they are seen.
create unique index if not exists phone_number_findings_one_of_a_kind
on phone_number_findings (telnyx_account, kind, coalesce(phone_number, ''))
where state in ('open', 'dismissed');

create index if not exists idx_phone_number_findings_phone_number
on phone_number_findings (telnyx_account, phone_number)
where state in ('open', 'dismissed');

create index if not exists idx_phone_number_findings_open
on phone_number_findings (first_seen_at)
where state = 'open';

-- Closed findings are deleted after a time.
create index if not exists idx_phone_number_findings_closed
on phone_number_findings (resolved_at)
where state <> 'open';

comment on table phone_number_findings is
  'What a person must look at. Nothing is done about it at Telnyx.';

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

comment on column phone_number_findings.key_sha256 is
  'SHA-256 of the API key that it was found with.';

comment on column phone_number_findings.number_count is
  'How many numbers it is about. When it was dismissed: how many it was about then.';

comment on column phone_number_findings.agency_phone_number_ids is
  'The rows concerned, or the first thousand of them.';

comment on column phone_number_findings.state is
  'open; adopted: done as the finding suggests; dismissed: to be left as it is; gone: not seen any more.';

comment on column phone_number_findings.resolved_by is
  'operator or reconcile.';
