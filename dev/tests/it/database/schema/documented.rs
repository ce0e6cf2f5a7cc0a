//! `agency_phone_numbers` against the platform's documentation, read back from the catalogue.

use dev::postgres::TestDatabase;

use super::{lines, two_agencies};

/// The documented columns, in their order.
const COLUMNS: [&str; 21] = [
    "id uuid uuid_generate_v4() not null",
    "agency_id uuid not null",
    "phone_number character varying(20) not null",
    "phone_number_id character varying(255)",
    "friendly_name character varying(255)",
    "number_type character varying(50)",
    "country_code character varying(5)",
    "voice_enabled boolean true not null",
    "sms_enabled boolean false not null",
    "mms_enabled boolean false not null",
    "agent_mapping_id uuid",
    "direction call_direction 'inbound'::call_direction",
    "monthly_cost numeric(10,4)",
    "setup_cost numeric(10,4)",
    "currency character varying(3) 'USD'::character varying not null",
    "status phone_number_status 'pending'::phone_number_status not null",
    "is_active boolean true not null",
    "purchased_at timestamp with time zone",
    "released_at timestamp with time zone",
    "created_at timestamp with time zone now() not null",
    "updated_at timestamp with time zone now() not null",
];

#[tokio::test]
async fn the_table_has_the_documented_columns_in_order() {
    let database = TestDatabase::migrated().await.unwrap();
    let columns = lines(
        &database.connect().await.unwrap(),
        "select a.attname::text,
                format_type(a.atttypid, a.atttypmod),
                pg_get_expr(d.adbin, d.adrelid),
                case when a.attnotnull then 'not null' end
         from pg_attribute as a
         left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where a.attrelid = 'agency_phone_numbers'::regclass and a.attnum > 0
         order by a.attnum",
    )
    .await;
    assert_eq!(columns, COLUMNS);
}

#[tokio::test]
async fn the_table_has_the_documented_constraints_and_no_others() {
    let database = TestDatabase::migrated().await.unwrap();
    let constraints = lines(
        &database.connect().await.unwrap(),
        // Newer servers list `not null` here too; it belongs to the columns.
        "select c.conname::text, pg_get_constraintdef(c.oid)
         from pg_constraint as c
         where c.conrelid = 'agency_phone_numbers'::regclass and c.contype <> 'n'
         order by c.conname",
    )
    .await;
    assert_eq!(
        constraints,
        [
            "agency_phone_numbers_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES agencies(id) ON DELETE CASCADE",
            "agency_phone_numbers_agent_mapping_id_fkey \
             FOREIGN KEY (agent_mapping_id) REFERENCES agent_mappings(id) ON DELETE SET NULL",
            r"agency_phone_numbers_phone_format CHECK (((phone_number)::text ~ '^\+[1-9][0-9]{6,14}$'::text))",
            "agency_phone_numbers_phone_unique UNIQUE (phone_number)",
            "agency_phone_numbers_pkey PRIMARY KEY (id)",
        ]
    );
}

#[tokio::test]
async fn the_table_has_the_documented_indexes_and_four_of_ours() {
    let database = TestDatabase::migrated().await.unwrap();
    let indexes = lines(
        &database.connect().await.unwrap(),
        "select replace(pg_get_indexdef(i.indexrelid), ' ON public.agency_phone_numbers USING btree', '')
         from pg_index as i
         where i.indrelid = 'agency_phone_numbers'::regclass
           and not exists (select from pg_constraint as c where c.conindid = i.indexrelid and c.conrelid = i.indrelid)
         order by 1",
    )
    .await;
    assert_eq!(
        indexes,
        [
            "CREATE INDEX idx_agency_phones_active (agency_id, is_active) WHERE (is_active = true)",
            "CREATE INDEX idx_agency_phones_agency_id (agency_id)",
            "CREATE INDEX idx_agency_phones_agent_by_age (agency_id, agent_mapping_id, status, created_at, id) \
             WHERE (agent_mapping_id IS NOT NULL)",
            "CREATE INDEX idx_agency_phones_agent_mapping (agent_mapping_id) WHERE (agent_mapping_id IS NOT NULL)",
            "CREATE INDEX idx_agency_phones_assigned_by_age (agency_id, status, created_at, id) WHERE (agent_mapping_id IS NOT NULL)",
            "CREATE INDEX idx_agency_phones_phone_number (phone_number)",
            "CREATE INDEX idx_agency_phones_search ON public.agency_phone_numbers USING gin \
             (phone_number_search_terms(agency_id, (phone_number)::text, (friendly_name)::text)) WITH (fastupdate=off)",
            "CREATE INDEX idx_agency_phones_status (status)",
            "CREATE INDEX idx_agency_phones_unassigned_by_age (agency_id, status, created_at, id) WHERE (agent_mapping_id IS NULL)",
        ]
    );
}

#[tokio::test]
async fn the_documented_trigger_renews_updated_at() {
    let (_database, client) = two_agencies().await;
    let trigger =
        lines(&client, "select pg_get_triggerdef(t.oid) from pg_trigger as t where t.tgname = 'update_agency_phone_numbers_updated_at'")
            .await;
    assert_eq!(
        trigger,
        ["CREATE TRIGGER update_agency_phone_numbers_updated_at BEFORE UPDATE ON public.agency_phone_numbers \
          FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"]
    );
    // Whatever the statement sets, and whatever the session's search path.
    client.batch_execute("set search_path = ''; update public.agency_phone_numbers set updated_at = '2001-01-01'").await.unwrap();
    let renewed = lines(&client, "select (n.updated_at > n.created_at)::text from public.agency_phone_numbers as n").await;
    assert_eq!(renewed, ["true"]);
}

#[tokio::test]
async fn the_enums_have_the_documented_values() {
    let database = TestDatabase::migrated().await.unwrap();
    let values = lines(
        &database.connect().await.unwrap(),
        "select e.enumtypid::regtype::text, string_agg(e.enumlabel, ' ' order by e.enumsortorder)
         from pg_enum as e
         where e.enumtypid in ('call_direction'::regtype, 'phone_number_status'::regtype)
         group by e.enumtypid
         order by 1",
    )
    .await;
    assert_eq!(values, ["call_direction inbound outbound", "phone_number_status pending active inactive released"]);
}

#[tokio::test]
async fn the_view_has_every_column_of_the_table_and_three_of_the_agent() {
    let (_database, client) = two_agencies().await;
    let columns = lines(
        &client,
        "select a.attname::text
         from pg_attribute as a
         where a.attrelid = 'v_agency_phone_numbers_with_agent'::regclass and a.attnum > 0
         order by a.attnum",
    )
    .await;
    let of_the_table = COLUMNS.map(|column| column.split(' ').next().unwrap());
    let expected: Vec<_> = of_the_table.into_iter().chain(["ultravox_agent_name", "voice", "language_hint"]).collect();
    assert_eq!(columns, expected);

    client
        .batch_execute(
            "insert into agency_phone_numbers (agency_id, phone_number, agent_mapping_id)
             values ('0a000000-0000-4000-8000-000000000000', '+13125550101', '0a000000-0000-4000-8000-00000000000a')",
        )
        .await
        .unwrap();
    let numbers = lines(
        &client,
        "select v.phone_number, v.ultravox_agent_name, v.voice, v.language_hint
         from v_agency_phone_numbers_with_agent as v
         order by v.phone_number",
    )
    .await;
    assert_eq!(numbers, ["+13125550100", "+13125550101 Ann Mark en"]);
}

#[tokio::test]
async fn a_reader_of_the_view_sees_what_they_may_see_of_the_tables() {
    let database = TestDatabase::migrated().await.unwrap();
    let options = lines(
        &database.connect().await.unwrap(),
        // A server older than 15 knows no such option.
        "select case
                  when current_setting('server_version_num')::int < 150000 then 'security_invoker=true'
                  else array_to_string(c.reloptions, ' ')
                end
         from pg_class as c
         where c.oid = 'v_agency_phone_numbers_with_agent'::regclass",
    )
    .await;
    assert_eq!(options, ["security_invoker=true"]);
}
