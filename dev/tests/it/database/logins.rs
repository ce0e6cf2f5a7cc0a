//! What the functions' logins to the database may not do.

use std::sync::Arc;

use dev::demo;
use dev::postgres::logins::{self, Login};
use dev::postgres::{Server, connect};
use dev::{migrations, workspace};
use lambda_http::http::Method;
use serde_json::json;
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::Store;
use tokio_postgres::Client;

use crate::support::actions::{assigned, release_of};
use crate::support::app::TestApp;

/// Statements that a login may not send, of those for which another one may.
const FORBIDDEN: &[(Login, &[&str])] = &[
    (
        Login::Read,
        &[
            "update agency_phone_numbers set friendly_name = 'x'",
            "delete from agency_phone_numbers",
            "insert into agency_phone_numbers (agency_id, phone_number) select agency_id, '+13125550100' from agency_phone_numbers",
            "select from agency_phone_numbers for update",
            "select telnyx_account from phone_number_purchases",
            "select key_sha256 from phone_number_purchases",
            "update phone_number_purchases set phase = 'cancelled'",
            "select id from phone_number_releases",
            "select id from phone_number_history",
            "select key from phone_number_idempotency_keys",
            "select id from phone_number_findings",
            "select name from phone_number_deployment",
            "select email from users",
            "update users set role = 'agency_owner'",
            "select id from agencies",
            "delete from phone_number_search_rates",
            "select agency_id from phone_number_purchase_rates",
            "select name from phone_number_migrations",
            "select agency_phone_numbers_restore('{}')",
            "create table ours (id int)",
        ],
    ),
    (
        Login::Assign,
        &[
            "update agency_phone_numbers set phone_number_id = 'x'",
            "update agency_phone_numbers set agency_id = gen_random_uuid()",
            "update agency_phone_numbers set is_active = false",
            "update agency_phone_numbers set phone_number = '+13125550100'",
            "delete from agency_phone_numbers",
            "insert into agency_phone_numbers (agency_id, phone_number) select agency_id, '+13125550100' from agency_phone_numbers",
            "delete from agency_phone_numbers_archive",
            "select telnyx_reference from phone_number_purchases",
            "update phone_number_purchases set phase = 'cancelled'",
            "select id from phone_number_releases",
            "insert into phone_number_history (event, actor) values ('changed', 'nobody')",
            "select user_id from phone_number_search_rates",
            "update agent_mappings set agency_id = gen_random_uuid()",
            "select id from agencies",
            "select agency_phone_numbers_restore('{}')",
        ],
    ),
    (
        Login::Spend,
        &[
            "delete from phone_number_purchases",
            "delete from phone_number_releases",
            "delete from phone_number_history",
            "update phone_number_history set actor = 'nobody'",
            "update agency_phone_numbers_archive set record = '{}'",
            "update phone_number_deployment set name = 'x'",
            "insert into phone_number_search_rates (user_id, whole_at) values (gen_random_uuid(), now())",
            "select name from phone_number_migrations",
            "select email from users",
            "update users set role = 'agency_owner'",
            "update agencies set settings = '{}'",
            "update agent_mappings set agency_id = gen_random_uuid()",
            "drop trigger agency_phone_numbers_writer on agency_phone_numbers",
            "alter table agency_phone_numbers disable trigger all",
            "set session_replication_role = replica",
            "set role phone_numbers_read",
            "create table ours (id int)",
            "truncate agency_phone_numbers",
        ],
    ),
];

async fn connected(login: Login, url: &str) -> Client {
    connect(&login.url(url).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_login_may_do_no_more_than_its_functions_do() {
    let app = TestApp::new().await;
    assigned(&app).await;
    let before = app.everything().await;
    // Postgres before 15 lets everybody create tables in the schema `public`.
    app.execute("revoke create on schema public from public").await;
    for (login, statements) in FORBIDDEN {
        let client = connected(*login, app.database.url()).await;
        for statement in *statements {
            let error = client.batch_execute(statement).await.expect_err(statement);
            let code = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error}")).code().code();
            assert_eq!(code, "42501", "{login:?}: {statement}: {error:?}");
        }
    }
    assert_eq!(app.everything().await, before);
}

#[tokio::test]
async fn every_function_of_the_template_has_a_login_and_migrate_alone_is_the_owner() {
    let template = dev::lambda::template::Template::read(&workspace::root().join("template.yaml")).unwrap();
    let owners: Vec<_> = template.functions.iter().filter(|function| Login::of(&function.name).unwrap().is_none()).collect();
    assert_eq!(owners.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["phone-numbers-migrate"]);
    assert!(Login::of("phone-numbers-other").is_err());
}

/// An owner as on RDS and Supabase: no superuser, and with CREATEROLE.
#[tokio::test]
async fn an_owner_without_superuser_makes_roles_and_logins_and_two_databases_share_them() {
    let server = Server::temporary().await.unwrap();
    let admin = connect(server.admin_url()).await.unwrap();
    admin.batch_execute("create role owner login createrole password 'secret'").await.unwrap();
    let mut urls = Vec::new();
    for name in ["one", "two"] {
        server.create_database(name, None).await.unwrap();
        admin.batch_execute(&format!("alter database {name} owner to owner")).await.unwrap();
        let database = connect(&server.url(name)).await.unwrap();
        // Before Postgres 15, the schema does not belong to the owner of the database.
        database.batch_execute("alter schema public owner to owner; create extension \"uuid-ossp\"").await.unwrap();
        let mut url = reqwest::Url::parse(&server.url(name)).unwrap();
        url.set_username("owner").unwrap();
        url.set_password(Some("secret")).unwrap();
        urls.push(String::from(url));
    }
    let migrate = async |url: &str| {
        migrations::platform(url).await.unwrap();
        migrations::run(url, Some(migrations::DEPLOYMENT)).await.unwrap();
    };
    tokio::join!(migrate(&urls[0]), migrate(&urls[1]));
    let first = logins::renew(&urls[0]).await.unwrap();
    demo::seed(&urls[0]).await.unwrap();
    assert_eq!(first.iter().map(|(login, _)| *login).collect::<Vec<_>>(), Login::ALL);
    for (login, url) in &first {
        let client = connect(url).await.unwrap();
        let user: String = client.query_one("select current_user::text", &[]).await.unwrap().get(0);
        assert_eq!(user, login.name());
        client.query("select id from agency_phone_numbers", &[]).await.unwrap();
    }
    let again = logins::renew(&urls[0]).await.unwrap();
    assert!(connect(&first[0].1).await.is_err() && connect(&again[0].1).await.is_ok(), "the password is a new one");
    let other = again[0].1.replace("/one", "/two");
    connect(&other).await.unwrap().query("select id from agency_phone_numbers", &[]).await.unwrap();
    server.stop();
}

#[tokio::test]
async fn logins_see_the_rows_of_a_platform_that_has_switched_on_row_level_security() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    for table in ["users", "agencies", "agent_mappings", "agency_phone_numbers"] {
        app.execute(&format!("alter table {table} enable row level security")).await;
    }
    app.list("owner", "").await.expect_problem(403, "forbidden");
    logins::ensure(app.database.url()).await.unwrap();
    app.list("owner", "").await.expect(200).number();
    let rename = json!({"id": row["id"], "friendly_name": "New"});
    app.assign("owner", Method::PATCH, "", Some(rename)).await.expect(200);
    app.release("owner", release_of(&row)).await.expect(200);
}

/// The functions take their permissions in the database from the login alone.
#[tokio::test]
async fn a_function_with_another_functions_login_is_refused_by_the_database() {
    let app = TestApp::new().await;
    assigned(&app).await;
    let url = Login::Read.url(app.database.url()).unwrap();
    let config = shared::config::Config::read(|name| (name == "DATABASE_URL").then(|| url.clone())).unwrap();
    let store = Store::new(&config, Arc::new(Secrets::new(&config.aws, config.secrets_ttl)));
    let caller = Caller::new(demo::USERS[0].id, "phone-numbers-assign", "PATCH");
    let row = app.rows().await.remove(0);
    let change = shared::store::Change { sms_enabled: Some(false), ..Default::default() };
    let refused = store.change(&caller, row["id"].as_str().unwrap().parse().unwrap(), &change, None).await.unwrap_err();
    assert_eq!(refused.code(), "unavailable");
    assert_eq!(app.now(&row).await, row);
}
