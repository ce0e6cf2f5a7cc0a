-- One fingerprint for each of the named tables and functions: what a statement could notice of it. Comments, privileges and
-- the order of columns are left out. Of the platform's table, only what its documentation and these migrations name.
with tables as (
  select c.oid, c.relname, c.reloptions, c.relname = 'agency_phone_numbers' as is_the_platforms
  from pg_class as c
  where c.relnamespace = quote_ident(current_schema())::regnamespace
    and c.relname = any ($1 /* objects */)
    and c.relkind = 'r'
), details as (
  select t.relname, t.is_the_platforms, a.attname as name,
         concat_ws(
           ' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
           pg_get_expr(d.adbin, d.adrelid)
         ) as line
  from tables as t
  join pg_attribute as a
    on a.attrelid = t.oid
    and a.attnum > 0
    and not a.attisdropped
  left join pg_attrdef as d
    on d.adrelid = a.attrelid
    and d.adnum = a.attnum
  union all
  -- Newer servers list `not null` among the constraints, too.
  select t.relname, t.is_the_platforms, c.conname, concat_ws(' ', 'constraint', c.conname, pg_get_constraintdef(c.oid))
  from tables as t
  join pg_constraint as c
    on c.conrelid = t.oid
    and c.contype <> 'n'
  union all
  select t.relname, t.is_the_platforms, r.relname, pg_get_indexdef(i.indexrelid)
  from tables as t
  join pg_index as i
    on i.indrelid = t.oid
  join pg_class as r
    on r.oid = i.indexrelid
  where not exists (select from pg_constraint as c where c.conindid = i.indexrelid)
  union all
  select t.relname, t.is_the_platforms, g.tgname, concat_ws(' ', g.tgenabled, pg_get_triggerdef(g.oid))
  from tables as t
  join pg_trigger as g
    on g.tgrelid = t.oid
    and not g.tgisinternal
  union all
  select t.relname, t.is_the_platforms, null, concat_ws(' ', 'options', array_to_string(t.reloptions, ' '))
  from tables as t
  union all
  select p.proname, false, p.proname,
         concat_ws(
           ' ', 'function', pg_get_function_identity_arguments(p.oid), p.prorettype::regtype, l.lanname, p.prosecdef,
           replace(array_to_string(p.proconfig, ' '), quote_ident(current_schema()), 'home'),
           regexp_replace(p.prosrc, '\s+', ' ', 'g')
         )
  from pg_proc as p
  join pg_language as l
    on l.oid = p.prolang
  where p.pronamespace = quote_ident(current_schema())::regnamespace
    and p.proname = any ($1)
)
select d.relname::text as object,
       md5(
         string_agg(
           replace(d.line, quote_ident(current_schema()) || '.', ''),
           e'\n'
           order by d.line collate "C"
         )
       ) as fingerprint
from details as d
where not d.is_the_platforms
  or d.name in (
    'id', 'agency_id', 'phone_number', 'phone_number_id', 'friendly_name', 'number_type', 'country_code', 'voice_enabled',
    'sms_enabled', 'mms_enabled', 'agent_mapping_id', 'direction', 'monthly_cost', 'setup_cost', 'currency', 'status',
    'is_active', 'purchased_at', 'released_at', 'created_at', 'updated_at',
    'agency_phone_numbers_pkey', 'agency_phone_numbers_phone_unique', 'agency_phone_numbers_agency_id_fkey',
    'agency_phone_numbers_agent_mapping_id_fkey', 'agency_phone_numbers_phone_format',
    'idx_agency_phones_agency_id', 'idx_agency_phones_phone_number', 'idx_agency_phones_agent_mapping',
    'idx_agency_phones_status', 'idx_agency_phones_active',
    'update_agency_phone_numbers_updated_at', 'agency_phone_numbers_agent_same_agency', 'agency_phone_numbers_history'
  )
group by d.relname
order by d.relname
