//! Postgres over TLS: which certificates are accepted.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dev::certificates::Authority;
use dev::postgres::Server;
use dev::{demo, migrations};
use lambda_http::http::Method;
use phone_numbers_list::List;
use reqwest::Url;
use serde_json::json;
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::Store;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::app::{TestApp, eventually, send};

/// The first message of a client: whether the server offers TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The demo's database on a server with TLS and a certificate for `localhost`.
struct Secured {
    app: TestApp,
    server: Server,
    /// The files of trusted authorities, by name.
    files: TempDir,
}

impl Secured {
    async fn start() -> Self {
        let authority = Authority::new("The Authority").unwrap();
        let server = Server::temporary_over_tls(&authority.certify("localhost").unwrap()).await.unwrap();
        let (app, files) = (TestApp::new().await, tempfile::tempdir().unwrap());
        let bundle = format!("{}{}", Authority::new("Another").unwrap().pem(), authority.pem());
        for (name, text) in
            [("bundle.pem", bundle.as_str()), ("stranger.pem", Authority::new("A Stranger").unwrap().pem()), ("empty.pem", "# nobody\n")]
        {
            fs::write(files.path().join(name), text).unwrap();
        }
        let url = server.admin_url();
        migrations::platform(url).await.unwrap();
        migrations::run(url, Some(migrations::DEPLOYMENT)).await.unwrap();
        demo::seed(url).await.unwrap();
        Self { app, server, files }
    }

    /// The server's URL with another host and `sslmode`; without one if it is empty.
    fn url(&self, host: &str, mode: &str) -> String {
        let mut url = Url::parse(self.server.admin_url()).unwrap();
        url.set_host(Some(host)).unwrap();
        url.set_query(None);
        if !mode.is_empty() {
            url.query_pairs_mut().append_pair("sslmode", mode);
        }
        url.into()
    }

    /// The same in the format of RDS.
    fn json(&self, host: &str) -> String {
        let url = Url::parse(self.server.admin_url()).unwrap();
        let (name, port) = (url.path().trim_start_matches('/'), url.port());
        json!({"username": url.username(), "password": url.password(), "engine": "postgres", "host": host, "port": port, "dbname": name})
            .to_string()
    }

    fn trust(&mut self, file: &str) {
        let path = self.files.path().join(file);
        self.app.set("DATABASE_CA_FILE", path.to_str().unwrap());
    }

    /// The number of the functions' connections, and how many of them are encrypted.
    async fn connections(&self) -> (i64, i64) {
        let sql = "select count(*), count(*) filter (where ssl) from pg_stat_activity join pg_stat_ssl using (pid)
                   where application_name = 'phone-numbers'";
        let admin = dev::postgres::connect(self.server.admin_url()).await.unwrap();
        let row = admin.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

/// The log line about a database that cannot be used. The answer has no details.
async fn complaint(app: &TestApp) -> String {
    app.list("owner", "").await.expect_problem(503, "unavailable");
    let config = app.config();
    let store = Store::new(&config, Arc::new(Secrets::new(&config.aws, Duration::from_secs(1))));
    store.authorize(&Caller::new(demo::USERS[0].id, "phone-numbers-list", "GET")).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_with_a_valid_certificate_is_used_over_tls_in_every_mode() {
    let mut secured = Secured::start().await;
    secured.trust("bundle.pem");
    let urls = ["", "prefer", "require", "verify-ca", "verify-full"].map(|mode| secured.url("localhost", mode));
    for login in urls.into_iter().chain([secured.json("localhost")]) {
        secured.app.set("DATABASE_URL", &login);
        let function = secured.app.function::<List>();
        function.warm().await;
        assert_eq!(secured.connections().await, (1, 1), "{login}");
        send(&function, &secured.app.token("owner"), Method::GET, "", None).await.expect(200);
        drop(function);
        eventually(async || (secured.connections().await.0 == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is_is_not_logged_in_to() {
    let mut secured = Secured::start().await;
    secured.trust("bundle.pem");
    // Its certificate is for a name, not for an address.
    let logins = ["", "prefer", "require", "verify-ca"].map(|mode| secured.url("127.0.0.1", mode));
    for login in logins.into_iter().chain([secured.json("127.0.0.1")]) {
        secured.app.set("DATABASE_URL", &login);
        let complaint = complaint(&secured.app).await;
        assert!(complaint.contains("certificate not valid for name"), "{complaint}");
    }
    secured.app.set("DATABASE_URL", &secured.url("localhost", ""));
    let unknown = "UnknownIssuer";
    for (file, expected) in [("stranger.pem", unknown), ("empty.pem", "holds no certificate"), ("absent.pem", "cannot be read")] {
        secured.trust(file);
        let complaint = complaint(&secured.app).await;
        assert!(complaint.contains(expected), "{file}: {complaint}");
    }
    // The public authorities, the default, do not know it either.
    secured.app.set("DATABASE_CA_FILE", "");
    assert!(complaint(&secured.app).await.contains(unknown));
    assert_eq!(secured.connections().await, (0, 0));
}

#[tokio::test]
async fn the_migrate_command_trusts_the_same_authorities_as_the_functions() {
    let secured = Secured::start().await;
    for (file, trusted) in [("bundle.pem", true), ("stranger.pem", false)] {
        let mut migrate = Command::new(env!("CARGO_BIN_EXE_dev"));
        migrate.args(["migrate", "--database-url", &secured.url("localhost", "verify-full")]);
        let done = migrate.env("DATABASE_CA_FILE", secured.files.path().join(file)).output().unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.success(), trusted, "{errors}");
        assert_eq!(errors.contains("UnknownIssuer"), !trusted, "{errors}");
    }
}

#[tokio::test]
async fn the_systems_authorities_are_used_if_configured() {
    let mut secured = Secured::start().await;
    secured.app.set("DATABASE_URL", &secured.url("localhost", ""));
    secured.app.set("DATABASE_CA_FILE", "system");
    let has_store = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"].iter().any(|path| Path::new(path).exists());
    let expected = if has_store { "UnknownIssuer" } else { "no store of certificate authorities" };
    let complaint = complaint(&secured.app).await;
    assert!(complaint.contains(expected), "{complaint}");
}

#[tokio::test]
async fn no_password_is_sent_to_a_server_without_tls() {
    let mut app = TestApp::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut heard = Vec::new();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = [0; 8];
            client.read_exact(&mut request).await.unwrap();
            client.write_all(b"N").await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            heard.push((request, rest));
            if heard.len() == 2 {
                return heard;
            }
        }
    });
    let url = format!("postgres://app:hunter2@localhost:{port}/app?sslmode=prefer");
    let json = json!({"username": "app", "password": "hunter2", "host": "localhost", "port": port, "dbname": "app"}).to_string();
    for login in [url, json] {
        app.set("DATABASE_URL", &login);
        app.list("owner", "").await.expect_problem(503, "unavailable");
    }
    assert_eq!(server.await.unwrap(), vec![(SSL_REQUEST, Vec::new()); 2]);
}

#[tokio::test]
async fn a_login_in_json_is_without_tls_only_if_it_is_configured() {
    let mut app = TestApp::new().await;
    let url = Url::parse(app.database.url()).unwrap();
    // The secret of a master user that RDS manages; the rest is in the environment.
    let json = json!({"username": url.username(), "password": url.password()}).to_string();
    let (host, port) = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432).to_string());
    let name = url.path().trim_start_matches('/').to_owned();
    for (variable, value) in [("DATABASE_URL", &json), ("DATABASE_HOST", &host), ("DATABASE_PORT", &port), ("DATABASE_NAME", &name)] {
        app.set(variable, value);
    }
    for mode in ["", "prefer", "allow"] {
        app.set("DATABASE_SSLMODE", mode);
        app.list("owner", "").await.expect_problem(503, "unavailable");
    }
    app.set("DATABASE_SSLMODE", "disable");
    app.list("owner", "").await.expect(200);
}
