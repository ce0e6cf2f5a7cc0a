//! Privileges on the product's objects, on a platform that grants all new objects to the roles of its REST API.

use dev::migrations;
use dev::postgres::{Server, connect};
use tokio_postgres::Client;

use super::{lines, refusal, two_agencies};

/// Every object of ours, then what each role may do with it beside its owner: the roles of the functions, without their common
/// beginning `phone_numbers_`. Rights on some columns are in brackets. The view shows nobody more of its tables than they may read
/// themselves.
const OBJECTS: [&str; 34] = [
    "function agency_phone_numbers_agent_same_agency()",
    "function agency_phone_numbers_archive_count()",
    "function agency_phone_numbers_archive_created_at()",
    "function agency_phone_numbers_count()",
    "function agency_phone_numbers_history()",
    "function agency_phone_numbers_restore(jsonb) spend=X",
    "function agency_phone_numbers_writer()",
    "function phone_number_counts_add(phone_number_counts[])",
    "function phone_number_counts_rebuild()",
    "function phone_number_history_is_append_only()",
    "function phone_number_purchase_begin(uuid,uuid,text,uuid,text,uuid,uuid,uuid,text,text,text,text,numeric,numeric,text,uuid,bigint,\
     text,bigint,double precision,double precision,text,text,uuid,bigint,smallint) spend=X",
    "function phone_number_search_terms(uuid,text,text) anon=X authenticated=X public=X",
    "function phone_numbers_limit_roles()",
    "function phone_numbers_sign(text,uuid,text) assign=X spend=X",
    "function update_updated_at_column()",
    "sequence phone_number_counts_id_seq",
    "sequence phone_number_history_id_seq",
    "table agency_phone_numbers assign=r assign=w(agent_mapping_id direction friendly_name mms_enabled sms_enabled status voice_enabled) \
     read=r spend=arwd",
    "table agency_phone_numbers_archive assign=r read=r spend=ard",
    "table phone_number_counts read=r spend=r",
    "table phone_number_deployment spend=r",
    "table phone_number_findings spend=arwd",
    "table phone_number_history assign=r spend=ar",
    "table phone_number_idempotency_keys spend=arwd",
    "table phone_number_idempotency_purchases spend=arwd",
    "table phone_number_inventory_walks spend=arwd",
    "table phone_number_migrations",
    "table phone_number_purchase_rates spend=arwd",
    "table phone_number_purchases assign=r(agency_id agency_phone_number_id id phase requirements_deadline requirements_met) \
     read=r(agency_id agency_phone_number_id id phase requirements_deadline requirements_met) spend=arw",
    "table phone_number_releases spend=arw",
    "table phone_number_search_rates read=arw spend=rd",
    "table phone_number_sightings spend=arwd",
    "table phone_number_strangers spend=arwd",
    "view v_agency_phone_numbers_with_agent anon=arwdDxt authenticated=arwdDxt public=arwdDxt",
];

/// The same of the platform's tables.
const PLATFORM: [&str; 3] = [
    "table agencies spend=r(id settings telnyx_application_id)",
    "table agent_mappings assign=r(agency_id id language_hint recording_enabled ultravox_agent_id ultravox_agent_name voice) \
     read=r(agency_id id language_hint recording_enabled ultravox_agent_id ultravox_agent_name voice) \
     spend=r(agency_id id language_hint recording_enabled ultravox_agent_id ultravox_agent_name voice)",
    "table users assign=r(agency_id id role) read=r(agency_id id role) spend=r(agency_id id role)",
];

/// The rights on the objects that `$1` chooses, one line each, in the letters of access control lists.
const RIGHTS: &str = "
with objects as (
  select case c.relkind when 'r' then 'table' when 'v' then 'view' when 'S' then 'sequence' end as kind,
         c.relname::text as name,
         c.relowner as owner,
         null as column_name,
         coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r' end, c.relowner)) as acl
  from pg_class as c
  where c.relnamespace = 'public'::regnamespace
    and c.relkind in ('r', 'v', 'S')
  union all
  select 'table', c.relname::text, c.relowner, a.attname::text, a.attacl
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid
  where c.relnamespace = 'public'::regnamespace
    and c.relkind = 'r'
    and a.attacl is not null
  union all
  select 'function', p.oid::regprocedure::text, p.proowner, null, coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc as p
  where p.pronamespace = 'public'::regnamespace
    and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
), letters as (
  select o.kind, o.name, o.column_name, replace(coalesce(r.rolname, 'public'), 'phone_numbers_', '') as grantee,
         string_agg(l.letter, '' order by l.position) as rights
  from objects as o
  cross join aclexplode(o.acl) as a
  join (values
    ('INSERT', 'a', 1), ('SELECT', 'r', 2), ('UPDATE', 'w', 3), ('DELETE', 'd', 4), ('TRUNCATE', 'D', 5), ('REFERENCES', 'x', 6),
    ('TRIGGER', 't', 7), ('EXECUTE', 'X', 8), ('USAGE', 'U', 9)
  ) as l (privilege, letter, position) on l.privilege = a.privilege_type
  left join pg_roles as r on r.oid = a.grantee
  where a.grantee <> o.owner
  group by o.kind, o.name, o.column_name, 4
), grants as (
  select l.kind, l.name,
         l.grantee || '=' || l.rights || coalesce('(' || string_agg(l.column_name, ' ' order by l.column_name) || ')', '') as line
  from letters as l
  group by l.kind, l.name, l.grantee, l.rights, l.column_name is null
)
select distinct o.kind, o.name, (
  select string_agg(g.line, ' ' order by g.line collate \"C\")
  from grants as g
  where (g.kind, g.name) = (o.kind, o.name)
)
from objects as o
where (o.name in ('agencies', 'agent_mappings', 'users')) = ";

/// A migrated database of such a platform. Roles belong to a server, not to a database: so it has a server of its own.
async fn platform() -> (Server, Client) {
    let server = Server::temporary().await.unwrap();
    server.create_database("platform", None).await.unwrap();
    let client = connect(&server.url("platform")).await.unwrap();
    client
        .batch_execute(
            "create role web_app;
             create role anon;
             create role authenticated;
             alter default privileges in schema public grant all on tables to anon, authenticated, public;
             alter default privileges in schema public grant all on sequences to anon, authenticated, public;
             alter default privileges in schema public grant all on functions to anon, authenticated",
        )
        .await
        .unwrap();
    migrations::platform(&server.url("platform")).await.unwrap();
    migrations::run(&server.url("platform"), None).await.unwrap();
    (server, client)
}

#[tokio::test]
async fn nobody_but_the_owner_may_touch_what_is_ours() {
    let (_server, client) = platform().await;
    assert_eq!(lines(&client, &format!("{RIGHTS} false order by 1, 2")).await, OBJECTS);
    let platform: Vec<_> = lines(&client, &format!("{RIGHTS} true order by 1, 2")).await;
    // What the platform itself grants is left as it is.
    let ours: Vec<_> = platform
        .iter()
        .map(|line| line.replace(" anon=arwdDxt", "").replace(" authenticated=arwdDxt", "").replace(" public=arwdDxt", ""))
        .collect();
    assert_eq!(ours, PLATFORM);
    for statement in [
        "select v.id from v_agency_phone_numbers_with_agent as v",
        "select agency_phone_numbers_restore('{}')",
        "select nextval('phone_number_history_id_seq')",
        "select m.name from phone_number_migrations as m",
    ] {
        let error = refusal(&client, &format!("set role authenticated; {statement}")).await;
        assert_eq!(error.code().code(), "42501", "{statement}");
        client.batch_execute("reset role").await.unwrap();
    }
}

#[tokio::test]
async fn every_function_of_ours_has_a_search_path_of_its_own() {
    let (_database, client) = two_agencies().await;
    let functions = lines(
        &client,
        "select p.proname::text, case when p.prosecdef then 'definer' else 'invoker' end, array_to_string(p.proconfig, ' ')
         from pg_proc as p
         where p.pronamespace = 'public'::regnamespace
           and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
         order by 1",
    )
    .await;
    assert_eq!(
        functions,
        [
            "agency_phone_numbers_agent_same_agency invoker search_path=public, pg_temp",
            "agency_phone_numbers_archive_count definer search_path=public, pg_temp",
            "agency_phone_numbers_archive_created_at invoker search_path=\"\"",
            "agency_phone_numbers_count definer search_path=public, pg_temp",
            "agency_phone_numbers_history definer search_path=public, pg_temp",
            "agency_phone_numbers_restore invoker search_path=public, pg_temp",
            "agency_phone_numbers_writer definer search_path=public, pg_temp",
            "phone_number_counts_add invoker search_path=public, pg_temp",
            "phone_number_counts_rebuild invoker search_path=public, pg_temp",
            "phone_number_history_is_append_only invoker search_path=\"\"",
            "phone_number_purchase_begin invoker search_path=public, pg_temp",
            "phone_number_search_terms invoker search_path=\"\"",
            "phone_numbers_limit_roles invoker search_path=\"\"",
            "phone_numbers_sign invoker search_path=\"\"",
            "update_updated_at_column invoker search_path=\"\"",
        ]
    );
}

#[tokio::test]
async fn the_history_of_another_table_is_not_written() {
    let (_server, client) = platform().await;
    let attach = "create temporary table agency_phone_numbers (like public.agency_phone_numbers including defaults);
                  create trigger of_another after insert on agency_phone_numbers
                  for each row execute function public.agency_phone_numbers_history()";
    let error = refusal(&client, &format!("set role web_app; {attach}")).await;
    assert_eq!(error.code().code(), "42501");
    client.batch_execute(&format!("reset role; {attach}")).await.unwrap();
    let insert = "insert into agency_phone_numbers (agency_id, phone_number, status)
                  values (uuid_generate_v4(), '+13125550100', 'active')";
    let error = refusal(&client, insert).await;
    assert!(error.message().contains("agency_phone_numbers_history is not a trigger for pg_temp"), "{error}");
    assert!(lines(&client, "select h.event from phone_number_history as h").await.is_empty());
}

#[tokio::test]
async fn a_row_is_restored_to_the_table_and_not_to_a_temporary_one() {
    let (_database, client) = two_agencies().await;
    client
        .batch_execute(
            "create temporary table archived as select to_jsonb(n) as record from agency_phone_numbers as n;
             delete from agency_phone_numbers;
             create temporary table agency_phone_numbers (like public.agency_phone_numbers);
             select agency_phone_numbers_restore(a.record) from archived as a",
        )
        .await
        .unwrap();
    assert_eq!(lines(&client, "select n.phone_number from public.agency_phone_numbers as n").await, ["+13125550100"]);
    assert!(lines(&client, "select n.phone_number from pg_temp.agency_phone_numbers as n").await.is_empty());
}

#[tokio::test]
async fn a_role_that_may_write_the_table_needs_no_right_to_its_history() {
    let (_server, client) = platform().await;
    client
        .batch_execute(
            "insert into agencies (name, slug) values ('A', 'a');
             grant select on agencies to web_app;
             grant select, insert, update, delete on agency_phone_numbers to web_app;
             set role web_app;
             insert into agency_phone_numbers (agency_id, phone_number, status)
             select a.id, '+13125550100', 'active' from agencies as a;
             update agency_phone_numbers set status = 'inactive';
             delete from agency_phone_numbers",
        )
        .await
        .unwrap();
    assert_eq!(refusal(&client, "select h.id from phone_number_history as h").await.code().code(), "42501");
    client.batch_execute("reset role").await.unwrap();
    let told = lines(&client, "select h.event, h.actor from phone_number_history as h order by h.id").await;
    assert_eq!(told, ["bought platform", "changed platform", "deleted platform"]);
}
