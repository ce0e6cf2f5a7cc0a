-- The second fence around an agency's rows: a user changes no row of another agency.
--
-- The statements of the functions have the condition already. A defect in one of them must not change a row of another tenant:
-- so every change that is made in a user's name (the setting phone_numbers.actor) is checked by the platform's table `users`,
-- whatever the statement said.
--
-- A purchase or release is checked when it begins. From then on the ledger has the authority, and not the user: the setting
-- phone_numbers.ledger names its entry. The entry has to be about this row and this agency. A user who moves to another agency
-- or is deleted meanwhile does not keep it from ending.
--
-- Reconcile, operators and the platform are no users. Runs with the rights of its owner: a writer needs none on these tables.
create or replace function agency_phone_numbers_writer()
returns trigger
language plpgsql
security definer
as $function$
declare
  actor constant text := nullif(current_setting('phone_numbers.actor', true), '');
  ledger constant text := nullif(current_setting('phone_numbers.ledger', true), '');
  row_id constant uuid := case when tg_op = 'DELETE' then old.id else new.id end;
  row_agency_id constant uuid := case when tg_op = 'DELETE' then old.agency_id else new.agency_id end;
begin
  -- On another table, the trigger would say nothing about numbers, but read `users` for whoever attached it.
  if tg_relid <> 'agency_phone_numbers'::regclass then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('agency_phone_numbers_writer is not a trigger for %s', tg_relid::regclass);
  end if;

  if actor is null or actor !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    return null;
  end if;

  if tg_op = 'UPDATE' and old.agency_id <> new.agency_id then
    raise exception using
      errcode = 'integrity_constraint_violation',
      message = format('user %s may not move row %s to another agency', actor, row_id);
  end if;

  if ledger is null then
    if not exists (
      select
      from users as u
      where u.id = actor::uuid
        and u.agency_id = row_agency_id
    ) then
      raise exception using
        errcode = 'integrity_constraint_violation',
        message = format('row %s is not of the agency of user %s', row_id, actor);
    end if;
  elsif not exists (
    select
    from phone_number_purchases as p
    where p.id = ledger::uuid
      and p.agency_phone_number_id = row_id
      and p.agency_id = row_agency_id
  ) and not exists (
    select
    from phone_number_releases as r
    where r.id = ledger::uuid
      and r.agency_phone_number_id = row_id
      and r.agency_id = row_agency_id
  ) then
    raise exception using
      errcode = 'integrity_constraint_violation',
      message = format('row %s is not that of the purchase or release %s', row_id, ledger);
  end if;

  return null;
end
$function$;

comment on function agency_phone_numbers_writer() is
  'Refuses a change in the name of a user to a row of another agency than that user''s.';

do $settings$
begin
  -- The tables of this schema, whatever the search path of the session and its temporary tables.
  execute format('alter function agency_phone_numbers_writer() set search_path = %I, pg_temp', current_schema());

  execute format(
    'revoke all on function agency_phone_numbers_writer() from %s',
    concat_ws(
      ', ',
      'public',
      (
        select string_agg(quote_ident(r.rolname), ', ')
        from pg_roles as r
        where r.rolname in ('anon', 'authenticated')
      )
    )
  );
end
$settings$;

-- After the statement has said in whose name it writes, which some do in what they return.
create or replace trigger agency_phone_numbers_writer
after insert or update or delete on agency_phone_numbers
for each row
execute function agency_phone_numbers_writer();
