//! The servers and databases that tests run on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dev::postgres::{Server, TestDatabase, connect, testing};

#[tokio::test]
async fn a_temporary_server_leaves_nothing_behind() {
    let server = Server::temporary().await.unwrap();
    let client = connect(server.admin_url()).await.unwrap();
    let directory: String = client.query_one("select current_setting('data_directory')", &[]).await.unwrap().get(0);
    assert!(Path::new(&directory).exists());
    server.stop();
    assert!(!Path::new(&directory).exists());
    assert!(!Path::new(&directory).parent().unwrap().exists());
    assert!(connect(server.admin_url()).await.is_err());
}

#[tokio::test]
async fn a_kept_server_keeps_its_data_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("postgres");
    // Postgres may run as another user, who must be able to enter the folder.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    {
        let server = Server::start(&directory).await.unwrap();
        server.ensure_database("kept").await.unwrap();
        server.ensure_database("kept").await.unwrap();
        let second = Server::start(&directory).await.unwrap_err();
        assert!(second.to_string().contains("another process is using"), "{second:#}");
    }
    {
        let server = Server::start(&directory).await.unwrap();
        connect(&server.url("kept")).await.unwrap();
    }
    Server::forget(&directory).await.unwrap();
    let server = Server::start(&directory).await.unwrap();
    assert!(connect(&server.url("kept")).await.is_err());
}

#[tokio::test]
async fn a_server_that_crashes_comes_back_where_it_was_with_all_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for server in [Server::temporary().await.unwrap(), Server::start(&folder.path().join("postgres")).await.unwrap()] {
        let client = connect(server.admin_url()).await.unwrap();
        client.batch_execute("create table notes (id integer)").await.unwrap();
        let unfinished = connect(server.admin_url()).await.unwrap();
        unfinished.batch_execute("begin; insert into notes values (-1)").await.unwrap();
        for id in 0..3 {
            let client = connect(server.admin_url()).await.unwrap();
            client.execute("insert into notes values ($1)", &[&id]).await.unwrap();
            server.crash_and_restart().await.unwrap();
            assert!(client.simple_query("select 1").await.is_err(), "the crash ended every connection");
        }
        let client = connect(server.admin_url()).await.unwrap();
        let ids: Vec<i32> = client.query("select id from notes order by id", &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [0, 1, 2]);
        let sql = "select pg_read_file(current_setting('data_directory') || '/../postgres.log')";
        let log: String = client.query_one(sql, &[]).await.unwrap().get(0);
        assert!(log.contains("not properly shut down"), "{log}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_ours_is_not_crashed() {
    let external = Server::external(testing::server().await.unwrap().admin_url()).await.unwrap();
    assert!(external.crash_and_restart().await.is_err());
}

#[tokio::test]
async fn a_test_database_is_a_migrated_clone_and_goes_with_its_value() {
    let database = TestDatabase::migrated().await.unwrap();
    let client = database.connect().await.unwrap();
    client.execute("select count(*) from agency_phone_numbers", &[]).await.unwrap();
    let url = database.url().to_owned();
    drop(database);
    assert!(connect(&url).await.is_err());
}

#[tokio::test]
async fn a_database_can_be_created_once_and_dropped_twice() {
    let server = testing::server().await.unwrap();
    server.create_database("odd \"name", None).await.unwrap();
    let error = server.create_database("odd \"name", None).await.unwrap_err();
    assert!(format!("{error:#}").contains("already exists (42P04)"), "{error:#}");
    server.drop_database("odd \"name").await.unwrap();
    server.drop_database("odd \"name").await.unwrap();
}
