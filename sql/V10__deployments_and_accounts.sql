-- Which deployment a database belongs to, and what shows that an API key opens the Telnyx account that the ledger names.
--
-- A copy of a production database would adopt and release production's numbers if it were used with production's API key.
-- So the database carries the name of its deployment, every ledger row the name of the deployment that wrote it, and the
-- statements that precede a write at Telnyx compare both with the setting DEPLOYMENT of whoever runs them.
--
-- A secret can come to hold the key of another Telnyx account. That account knows none of our numbers, and "there is no such
-- number" from it means nothing. So the ledger keeps the SHA-256 of the key that placed an order or showed a number.
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

  alter table phone_number_purchases
    add column if not exists deployment text,
    add column if not exists key_sha256 bytea,
    add column if not exists number_missed_at timestamptz,
    drop constraint if exists phone_number_purchases_key_is_sha256,
    add constraint phone_number_purchases_key_is_sha256
      check (octet_length(key_sha256) = 32);

  alter table phone_number_releases
    add column if not exists deployment text,
    add column if not exists key_sha256 bytea,
    drop constraint if exists phone_number_releases_key_is_sha256,
    add constraint phone_number_releases_key_is_sha256
      check (octet_length(key_sha256) = 32);

  -- Finds what a key must know of an account to be believed.
  create index if not exists idx_phone_number_purchases_account_key
  on phone_number_purchases (telnyx_account, key_sha256, created_at);

  alter table phone_number_findings
    add column if not exists key_sha256 bytea,
    drop constraint if exists phone_number_findings_kind_known,
    add constraint phone_number_findings_kind_known
      check (
        kind in (
          'not_ours', 'agency_gone', 'held_by_another', 'released_but_billed', 'inventory_drift', 'key_unproven',
          'release_refused', 'order_missing', 'number_missing', 'number_moved', 'same_account'
        )
      ),
    drop constraint if exists phone_number_findings_names_a_number,
    add constraint phone_number_findings_names_a_number
      check (
        phone_number is not null
        or kind in ('not_ours', 'inventory_drift', 'same_account')
      ),
    drop constraint if exists phone_number_findings_key_is_sha256,
    add constraint phone_number_findings_key_is_sha256
      check (octet_length(key_sha256) = 32);

  -- An intent that expired leaves no row of agency_phone_numbers behind, but a line in its history.
  alter table phone_number_history
    drop constraint if exists phone_number_history_event_known,
    add constraint phone_number_history_event_known
      check (event in ('bought', 'assigned', 'unassigned', 'changed', 'released', 'reconciled', 'deleted', 'expired'));

  -- Restores an archived row with the columns it had. A column that the platform has added since gets its default.
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
      and a.attgenerated = ''
      and record ? a.attname;

    execute format(
      'insert into agency_phone_numbers (%1$s) overriding system value
       select %1$s from jsonb_populate_record(null::agency_phone_numbers, $1)',
      columns
    )
    using record;

    return record ->> 'id';
  end
  $function$;

  -- Functions may be executed by every role unless it is revoked.
  revoke execute on function agency_phone_numbers_restore(jsonb) from public;

  comment on table phone_number_deployment is
    'The one deployment that may change anything at Telnyx on behalf of this database. Empty until the migrations fill it.';

  comment on column phone_number_deployment.name is
    'What the setting DEPLOYMENT must say.';

  comment on column phone_number_deployment.since is
    'When a copied database was given this name. Rows without a purchase that are older belong to the earlier deployment.';

  comment on column phone_number_purchases.deployment is
    'The deployment that wrote the row; null until the database is given its first name.';

  comment on column phone_number_purchases.key_sha256 is
    'SHA-256 of the API key that placed the order or first showed the number.';

  comment on column phone_number_purchases.number_missed_at is
    'Since when the order is successful and the account shows no such number; null when it was found or not looked for.';

  comment on column phone_number_purchases.telnyx_account is
    'The Telnyx account that buys: platform, or agency:<id of the agency>. Every later call about the number uses it.';

  comment on column phone_number_releases.telnyx_account is
    'The Telnyx account that has the number: platform, or agency:<id of the agency>.';

  comment on column phone_number_releases.deployment is
    'The deployment that wrote the row; null until the database is given its first name.';

  comment on column phone_number_releases.key_sha256 is
    'SHA-256 of the API key that showed the number before it was deleted.';

  comment on column phone_number_findings.kind is
    'not_ours: a number in the account without a reference of ours; '
    'agency_gone: a number of ours whose agency was deleted; '
    'held_by_another: a number of ours whose row is another agency''s; '
    'released_but_billed: a number that its row says was given back; '
    'inventory_drift: rows without a number at Telnyx, more than can be believed, or in an account that is not known again; '
    'key_unproven: the account''s API key answers for nothing that the ledger has there; '
    'release_refused: Telnyx does not delete the number; '
    'order_missing: the account does not know the order of a purchase any more; '
    'number_missing: the order of a purchase succeeded, and the account does not have the number; '
    'number_moved: another account has the number than the one that it was bought in; '
    'same_account: two names of accounts have the same numbers.';

  comment on column phone_number_findings.key_sha256 is
    'SHA-256 of the API key that it was found with.';

  comment on column phone_number_history.event is
    'bought, assigned, unassigned, changed, released; reconciled: corrected after a comparison with Telnyx; '
    'deleted: the row was deleted with its agency; expired: the purchase was never ordered and is not wanted any more.';

  -- Supabase grants every new table to the roles of its REST API. No tenant reads past the functions.
  for role_name in
    select r.rolname
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table phone_number_deployment from %I', role_name);
  end loop;
end
$migration$;
