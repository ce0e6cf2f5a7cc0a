-- The ledgers: one row for each attempt to buy one number and for each release of one number. A row is written before the
-- request to Telnyx that it describes, so that an attempt which stopped half-way is resumed where it stopped.
--
-- No foreign keys: a ledger records what happened with money, and outlives the number's row, the agency and the user.

-- The deployment that the database belongs to.
--
-- A copy of a production database would adopt and release production's numbers if it were used with production's API key.
-- So the database carries the name of its deployment, each ledger row the name of the deployment that wrote it, and the
-- statements that precede a write at Telnyx compare both with the setting DEPLOYMENT.
create table if not exists phone_number_deployment (
  is_only boolean default true not null,
  name text not null,
  since timestamptz default '-infinity' not null,
  constraint phone_number_deployment_pkey
    primary key (is_only),
  constraint phone_number_deployment_is_only
    check (is_only),
  constraint phone_number_deployment_name_format
    check (name ~ '^[A-Za-z0-9][A-Za-z0-9-]{0,127}$')
);

comment on table phone_number_deployment is
  'The one deployment that may change anything at Telnyx on behalf of this database. Empty until the migrations fill it.';

comment on column phone_number_deployment.name is
  'What the setting DEPLOYMENT must say.';

comment on column phone_number_deployment.since is
  'When a copied database was given this name. Rows without a purchase that are older belong to the earlier deployment.';

-- Purchases.
--
-- A secret can come to hold the API key of another Telnyx account. That account has none of our numbers, and its "no such
-- number" means nothing. So a ledger row keeps the SHA-256 of the key that placed the order or showed the number.
--
-- Nobody asked for some purchases here: they are adopted from Telnyx's inventory, or their rows predate the ledger. Their
-- order may be unknown.
create table if not exists phone_number_purchases (
  id uuid default uuid_generate_v4() not null,
  order_id uuid not null,
  agency_id uuid not null,
  agency_phone_number_id uuid not null,
  phone_number varchar(20) not null,
  deployment text,
  telnyx_account text not null,
  key_sha256 bytea,
  connection_id text,
  telnyx_reference text not null,
  telnyx_order_id text,
  telnyx_phone_number_id text,
  number_type varchar(50),
  country_code varchar(5),
  features text[],
  monthly_cost numeric(10, 4),
  upfront_cost numeric(10, 4),
  currency varchar(3),
  max_monthly_cost numeric(10, 4),
  max_upfront_cost numeric(10, 4),
  limit_currency varchar(3),
  requirements_met boolean,
  requirements_deadline timestamptz,
  origin text default 'requested' not null,
  caller_id uuid,
  customer_reference text,
  phase text default 'intended' not null,
  order_attempts integer default 0 not null,
  order_missed_at timestamptz,
  number_missed_at timestamptz,
  failure_code text,
  failure_detail text,
  lease_token uuid,
  leased_until timestamptz,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  completed_at timestamptz,
  constraint phone_number_purchases_pkey
    primary key (id),
  constraint phone_number_purchases_phone_format
    check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  constraint phone_number_purchases_key_is_sha256
    check (octet_length(key_sha256) = 32),
  constraint phone_number_purchases_monthly_cost_not_negative
    check (monthly_cost >= 0),
  constraint phone_number_purchases_upfront_cost_not_negative
    check (upfront_cost >= 0),
  constraint phone_number_purchases_limits_have_currency
    check (limit_currency is not null or (max_monthly_cost is null and max_upfront_cost is null)),
  constraint phone_number_purchases_origin_known
    check (origin in ('requested', 'adopted', 'backfilled')),
  constraint phone_number_purchases_requested_has_caller
    check (origin <> 'requested' or caller_id is not null),
  constraint phone_number_purchases_phase_known
    check (phase in ('intended', 'ordering', 'ordered', 'completed', 'failed', 'cancelled')),
  constraint phone_number_purchases_order_attempts_not_negative
    check (order_attempts >= 0),
  -- Telnyx may have the order as soon as it is about to be sent, so an attempt is counted before it is sent.
  constraint phone_number_purchases_ordering_is_counted
    check (phase <> 'ordering' or order_attempts >= 1),
  constraint phone_number_purchases_ordered_has_order
    check (phase <> 'ordered' or telnyx_order_id is not null),
  constraint phone_number_purchases_completed_is_complete
    check (
      phase <> 'completed'
      or (
        (telnyx_order_id is not null or origin <> 'requested')
        and telnyx_phone_number_id is not null
        and completed_at is not null
      )
    ),
  constraint phone_number_purchases_failed_has_reason
    check ((phase = 'failed') = (failure_code is not null)),
  constraint phone_number_purchases_lease_is_whole
    check ((lease_token is null) = (leased_until is null))
);

-- A row has at most one unfinished purchase, even if a function has a defect. Also finds that purchase.
create unique index if not exists phone_number_purchases_one_unfinished
on phone_number_purchases (agency_phone_number_id)
where phase in ('intended', 'ordering', 'ordered');

create unique index if not exists phone_number_purchases_telnyx_reference_unique
on phone_number_purchases (telnyx_reference);

create index if not exists idx_phone_number_purchases_telnyx_order_id
on phone_number_purchases (telnyx_order_id);

create index if not exists idx_phone_number_purchases_agency_phone_number_id
on phone_number_purchases (agency_phone_number_id);

create index if not exists idx_phone_number_purchases_order_id
on phone_number_purchases (order_id);

create index if not exists idx_phone_number_purchases_phone_number
on phone_number_purchases (phone_number);

-- Unfinished purchases, oldest first.
create index if not exists idx_phone_number_purchases_unfinished
on phone_number_purchases (created_at)
where phase in ('intended', 'ordering', 'ordered');

-- The order in which reconcile resumes them: first those whose order is unknown, then those that waited longest.
create index if not exists idx_phone_number_purchases_turn
on phone_number_purchases ((phase = 'ordered'), updated_at, id)
where phase in ('intended', 'ordering', 'ordered');

-- The accounts that exist, and what was last bought in each.
create index if not exists idx_phone_number_purchases_account
on phone_number_purchases (telnyx_account, completed_at);

-- The purchases that an API key has to know if it opens the account.
create index if not exists idx_phone_number_purchases_account_key
on phone_number_purchases (telnyx_account, key_sha256, created_at);

-- Details of failures are deleted after a time.
create index if not exists idx_phone_number_purchases_failure_detail
on phone_number_purchases (updated_at)
where failure_detail is not null;

create or replace trigger update_phone_number_purchases_updated_at
before update on phone_number_purchases
for each row
execute function update_updated_at_column();

comment on table phone_number_purchases is
  'The ledger: one row per attempt to buy one number. Written before Telnyx hears of it, and never deleted.';

comment on column phone_number_purchases.id is
  'Our id of the purchase; part of telnyx_reference.';

comment on column phone_number_purchases.order_id is
  'The order as the caller knows it: the id of the first purchase of the same request.';

comment on column phone_number_purchases.agency_id is
  'The agency that buys.';

comment on column phone_number_purchases.agency_phone_number_id is
  'The row of agency_phone_numbers bought into. A released number keeps its row: a row may have several purchases.';

comment on column phone_number_purchases.phone_number is
  'E.164.';

comment on column phone_number_purchases.deployment is
  'The deployment that wrote the row; null until the database is given its first name.';

comment on column phone_number_purchases.telnyx_account is
  'The Telnyx account that buys: platform, or agency:<id of the agency>. Every later call about the number uses it.';

comment on column phone_number_purchases.key_sha256 is
  'SHA-256 of the API key that placed the order or first showed the number.';

comment on column phone_number_purchases.connection_id is
  'The Telnyx connection the order was placed with; null when the agency had none.';

comment on column phone_number_purchases.telnyx_reference is
  'The customer_reference of the order at Telnyx, by which an order whose answer was lost is found again, and a number '
  'by a database that has forgotten it: it names the agency and the purchase.';

comment on column phone_number_purchases.telnyx_order_id is
  'Telnyx''s id of the number order.';

comment on column phone_number_purchases.telnyx_phone_number_id is
  'Telnyx''s id of the number in the inventory; not the id of the order''s item.';

comment on column phone_number_purchases.number_type is
  'As Telnyx offered it just before the order.';

comment on column phone_number_purchases.country_code is
  'ISO 3166-1 alpha-2, as Telnyx offered it just before the order.';

comment on column phone_number_purchases.features is
  'As Telnyx offered them just before the order.';

comment on column phone_number_purchases.monthly_cost is
  'Price per month in currency, read just before the order.';

comment on column phone_number_purchases.upfront_cost is
  'Price once in currency, read just before the order.';

comment on column phone_number_purchases.currency is
  'ISO 4217, of both prices.';

comment on column phone_number_purchases.max_monthly_cost is
  'The most that the caller pays each month, in limit_currency; null when the caller set no limit.';

comment on column phone_number_purchases.max_upfront_cost is
  'The most that the caller pays once, in limit_currency; null when the caller set no limit.';

comment on column phone_number_purchases.requirements_met is
  'Whether Telnyx has what regulation demands for this number; null until it says.';

comment on column phone_number_purchases.requirements_deadline is
  'Until when Telnyx waits for the documents that it lacks.';

comment on column phone_number_purchases.origin is
  'requested: by caller_id; adopted: found at Telnyx under a reference of ours; '
  'backfilled: the row is from before the ledger.';

comment on column phone_number_purchases.caller_id is
  'The user who asked.';

comment on column phone_number_purchases.customer_reference is
  'The caller''s own reference, kept and echoed; Telnyx never sees it.';

comment on column phone_number_purchases.phase is
  'intended: nothing sent; ordering: an order may be at Telnyx; ordered: it is, under telnyx_order_id; '
  'completed: the number is the agency''s; failed: nothing was bought, see failure_code; '
  'cancelled: the order was withdrawn.';

comment on column phone_number_purchases.order_attempts is
  'How often an order was about to be sent; counted before it is.';

comment on column phone_number_purchases.order_missed_at is
  'Since when looking the order up by its reference has found none; null when it was found or not looked for.';

comment on column phone_number_purchases.number_missed_at is
  'Since when the order is successful and the account shows no such number; null when it was found or not looked for.';

comment on column phone_number_purchases.failure_code is
  'The stable code of why it failed; set exactly in phase failed.';

comment on column phone_number_purchases.failure_detail is
  'The same for people, for as long as it is kept.';

comment on column phone_number_purchases.lease_token is
  'Who is working on this purchase; null when nobody is.';

comment on column phone_number_purchases.leased_until is
  'Until when, on the database''s clock. Past that, anybody may take over.';

comment on column phone_number_purchases.completed_at is
  'When the number became the agency''s, on the database''s clock.';

-- Releases.
create table if not exists phone_number_releases (
  id uuid default uuid_generate_v4() not null,
  agency_id uuid not null,
  agency_phone_number_id uuid not null,
  phone_number varchar(20) not null,
  deployment text,
  telnyx_account text not null,
  key_sha256 bytea,
  telnyx_phone_number_id text,
  caller_id uuid not null,
  previous_status phone_number_status not null,
  previous_agent_mapping_id uuid,
  phase text default 'requested' not null,
  failure_code text,
  failure_detail text,
  lease_token uuid,
  leased_until timestamptz,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  completed_at timestamptz,
  constraint phone_number_releases_pkey
    primary key (id),
  constraint phone_number_releases_phone_format
    check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  constraint phone_number_releases_key_is_sha256
    check (octet_length(key_sha256) = 32),
  constraint phone_number_releases_phase_known
    check (phase in ('requested', 'completed', 'refused')),
  constraint phone_number_releases_completed_is_complete
    check (phase <> 'completed' or completed_at is not null),
  constraint phone_number_releases_refused_has_reason
    check ((phase = 'refused') = (failure_code is not null)),
  constraint phone_number_releases_lease_is_whole
    check ((lease_token is null) = (leased_until is null))
);

-- A row has at most one unfinished release. Also finds that release.
create unique index if not exists phone_number_releases_one_unfinished
on phone_number_releases (agency_phone_number_id)
where phase = 'requested';

create index if not exists idx_phone_number_releases_agency_phone_number_id
on phone_number_releases (agency_phone_number_id);

create index if not exists idx_phone_number_releases_phone_number
on phone_number_releases (phone_number);

-- Unfinished releases, oldest first.
create index if not exists idx_phone_number_releases_unfinished
on phone_number_releases (created_at)
where phase = 'requested';

-- The order in which reconcile resumes them.
create index if not exists idx_phone_number_releases_turn
on phone_number_releases (updated_at, agency_phone_number_id)
where phase = 'requested';

create index if not exists idx_phone_number_releases_account
on phone_number_releases (telnyx_account);

create index if not exists idx_phone_number_releases_failure_detail
on phone_number_releases (updated_at)
where failure_detail is not null;

create or replace trigger update_phone_number_releases_updated_at
before update on phone_number_releases
for each row
execute function update_updated_at_column();

comment on table phone_number_releases is
  'The ledger of releases: one row per release of one number. Never deleted.';

comment on column phone_number_releases.agency_id is
  'The agency that gives the number back.';

comment on column phone_number_releases.agency_phone_number_id is
  'The row of agency_phone_numbers.';

comment on column phone_number_releases.phone_number is
  'E.164.';

comment on column phone_number_releases.deployment is
  'The deployment that wrote the row; null until the database is given its first name.';

comment on column phone_number_releases.telnyx_account is
  'The Telnyx account that has the number: platform, or agency:<id of the agency>.';

comment on column phone_number_releases.key_sha256 is
  'SHA-256 of the API key that showed the number before it was deleted.';

comment on column phone_number_releases.telnyx_phone_number_id is
  'Telnyx''s id of the number in the inventory; null when there was none to delete.';

comment on column phone_number_releases.caller_id is
  'The user who asked.';

comment on column phone_number_releases.previous_status is
  'The row''s status when the release began; a refused release puts it back.';

comment on column phone_number_releases.previous_agent_mapping_id is
  'The agent the number had when the release began; a refused release puts it back.';

comment on column phone_number_releases.phase is
  'requested: the row is unassigned, Telnyx may or may not have been asked; '
  'completed: the account no longer holds the number and the row says released; '
  'refused: Telnyx keeps the number, see failure_code.';

comment on column phone_number_releases.failure_code is
  'The stable code of why it was refused; set exactly in phase refused.';

comment on column phone_number_releases.failure_detail is
  'The same for people, for as long as it is kept.';

comment on column phone_number_releases.lease_token is
  'Who is working on this release; null when nobody is.';

comment on column phone_number_releases.leased_until is
  'Until when, on the database''s clock. Past that, anybody may take over.';

comment on column phone_number_releases.completed_at is
  'When the row became released, on the database''s clock.';
