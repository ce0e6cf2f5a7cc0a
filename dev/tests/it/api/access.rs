//! Access: bearer tokens, and the answers while they cannot be verified.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::Utc;
use dev::demo;
use dev::token::Issuer;
use lambda_http::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::app::{Reply, TestApp, agent, in_virtual_time};
use crate::support::functions::{Call, FUNCTIONS, Functions, calls, page};

/// A valid call of each method of each function, about a row that does not exist.
fn all_calls() -> Vec<Call> {
    calls("00000000-0000-4000-8000-000000000000", &agent(&demo::DEMO, 0).to_string())
}

/// Asserts that every function refuses this header.
async fn is_refused_everywhere(functions: &Functions, authorization: &str) {
    for call in all_calls() {
        let reply = functions.answer(call.function, call.request(authorization)).await;
        assert_eq!(reply.status, 401, "{authorization:?} at {call:?}: {:#}", reply.body);
        refused(reply);
    }
}

fn refused(reply: Reply) {
    let reply = reply.expect_problem(401, "unauthorized");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    assert_eq!(reply.body["retryable"], false);
}

/// A token of the owner with one other claim.
fn with_claim(issuer: &Issuer, claim: &str, value: &Value) -> String {
    let owner = demo::USERS[0];
    let mut claims = issuer.claims(owner.id, owner.email);
    claims[claim] = value.clone();
    format!("Bearer {}", issuer.sign(&claims))
}

#[tokio::test]
async fn a_missing_or_malformed_token_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let good = app.token("owner");
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer null".to_owned(),
        "Bearer x.y.z".to_owned(),
        format!("Basic {good}"),
        good.clone(),
        format!("Bearer {head}.{claims}"),
        format!("Bearer {head}.{claims}."),
        format!("Bearer {head}.{claims}.{}", &signature[..signature.len() - 4]),
        format!("Bearer {good} {good}"),
    ] {
        is_refused_everywhere(&functions, &authorization).await;
    }
}

#[tokio::test]
async fn the_scheme_may_be_written_in_any_case() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let request = page("GET", "").header("authorization", format!("bearer {}", app.token("owner"))).body(Body::Empty).unwrap();
    functions.answer("phone-numbers-list", request).await.expect(200);
}

#[tokio::test]
async fn a_token_past_or_before_its_time_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let now = Utc::now().timestamp();
    for (claim, value) in [("exp", now - 60), ("exp", 0), ("nbf", now + 3600), ("iat", now + 60)] {
        is_refused_everywhere(&functions, &with_claim(&app.issuer, claim, &json!(value))).await;
    }
    is_refused_everywhere(&functions, &with_claim(&app.issuer, "iat", &json!("now"))).await;
    // RFC 7519 permits fractions of a second.
    let fraction: Value = serde_json::from_str(&format!("{now}.5")).unwrap();
    for (claim, value) in [("iat", json!(now - 60)), ("nbf", json!(now - 60)), ("iat", fraction), ("iat", Value::Null)] {
        let token = with_claim(&app.issuer, claim, &value);
        functions.answer("phone-numbers-list", all_calls()[2].request(&token)).await.expect(200);
    }
}

#[tokio::test]
async fn a_token_without_an_end_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    for value in [Value::Null, json!("tomorrow"), json!(true)] {
        is_refused_everywhere(&functions, &with_claim(&app.issuer, "exp", &value)).await;
    }
    let owner = demo::USERS[0];
    for claim in ["exp", "iss", "aud", "sub"] {
        let mut claims = app.issuer.claims(owner.id, owner.email);
        claims.as_object_mut().unwrap().remove(claim);
        is_refused_everywhere(&functions, &format!("Bearer {}", app.issuer.sign(&claims))).await;
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_audience_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let issuer = &app.issuer;
    for (claim, value) in [
        ("iss", json!("https://evil.example/auth/v1")),
        ("iss", json!("")),
        ("iss", json!([issuer.issuer])),
        ("iss", json!([issuer.issuer, "https://evil.example/auth/v1"])),
        ("iss", json!(format!("{}/", issuer.issuer))),
        ("aud", json!("anon")),
        ("aud", json!("")),
        ("aud", json!([])),
        ("aud", json!(["anon", "service_role"])),
    ] {
        is_refused_everywhere(&functions, &with_claim(issuer, claim, &value)).await;
    }
    // RFC 7519, 4.1.3: an audience may be one of several.
    let several = with_claim(issuer, "aud", &json!(["another", "authenticated"]));
    functions.answer("phone-numbers-list", all_calls()[2].request(&several)).await.expect(200);
}

#[tokio::test]
async fn a_token_signed_with_another_secret_or_not_at_all_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let owner = demo::USERS[0];
    let stranger = Issuer { issuer: app.issuer.issuer.clone(), ..Issuer::default() };
    is_refused_everywhere(&functions, &format!("Bearer {}", stranger.token(owner.id, owner.email))).await;

    let claims = BASE64_URL_SAFE_NO_PAD.encode(app.issuer.claims(owner.id, owner.email).to_string());
    let good = app.token("owner");
    let signature = good.rsplit_once('.').unwrap().1;
    for algorithm in ["none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", ""] {
        let head = BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "typ": "JWT"}).to_string());
        for signature in ["", signature] {
            is_refused_everywhere(&functions, &format!("Bearer {head}.{claims}.{signature}")).await;
        }
    }
}

/// RFC 7515, 4.1.11: what is critical must be understood, and nothing that could be is.
#[tokio::test]
async fn a_token_with_a_critical_extension_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let owner = demo::USERS[0];
    let claims = app.issuer.claims(owner.id, owner.email);
    for critical in [json!(["https://example.com/extension"]), json!(["b64"]), json!(["exp"]), json!([]), json!("exp"), json!({})] {
        let header = json!({"alg": "HS256", "typ": "JWT", "crit": critical, "b64": true, "https://example.com/extension": 1, "exp": 1});
        is_refused_everywhere(&functions, &format!("Bearer {}", app.issuer.sign_with(&header, &claims))).await;
    }
    let unknown = json!({"alg": "HS256", "typ": "JWT", "https://example.com/extension": 1});
    let token = format!("Bearer {}", app.issuer.sign_with(&unknown, &claims));
    functions.answer("phone-numbers-list", all_calls()[2].request(&token)).await.expect(200);
}

#[tokio::test]
async fn a_token_whose_claims_were_changed_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let (member, other) = (app.token("member"), app.token("other_owner"));
    let (head, rest) = member.split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    let claims = other.split('.').nth(1).unwrap();
    is_refused_everywhere(&functions, &format!("Bearer {head}.{claims}.{signature}")).await;
}

#[tokio::test]
async fn a_token_without_a_users_id_is_refused_everywhere() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    for subject in [json!("owner"), json!(""), json!(7), Value::Null, json!(["de300000-0000-4000-8000-000000020001"])] {
        is_refused_everywhere(&functions, &with_claim(&app.issuer, "sub", &subject)).await;
    }
}

#[tokio::test]
async fn the_audience_to_insist_on_is_configured() {
    let mut app = TestApp::new().await;
    app.set("JWT_AUDIENCE", "phone-numbers");
    let functions = Functions::start(&app);
    is_refused_everywhere(&functions, &format!("Bearer {}", app.token("owner"))).await;
    let meant = with_claim(&app.issuer, "aud", &json!("phone-numbers"));
    functions.answer("phone-numbers-list", all_calls()[2].request(&meant)).await.expect(200);
}

/// Asserts that every call is answered 503 with a problem that the calling page can read.
async fn is_unavailable_everywhere(app: &TestApp) {
    let functions = Functions::start(app);
    for call in all_calls() {
        let reply = functions.call(&app.token("owner"), &call).await.expect_problem(503, "unavailable");
        assert_eq!(reply.body["retryable"], true);
        assert_eq!(reply.header("access-control-allow-origin"), crate::support::app::ORIGIN);
        let text = reply.body.to_string();
        for secret in ["JWT", "JWKS", "DATABASE", "TELNYX", "127.0.0.1", "postgres", "refused", "configured"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    for &(function, methods) in FUNCTIONS {
        let preflight = page("OPTIONS", "").header("access-control-request-method", methods[0]).body(Body::Empty).unwrap();
        functions.answer(function, preflight).await.expect(204);
    }
}

#[tokio::test]
async fn without_any_setting_a_function_answers_that_it_is_unavailable() {
    let mut app = TestApp::new().await;
    for name in ["DATABASE_URL", "JWT_SECRET", "JWT_ISSUER", "TELNYX_API_URL", "TELNYX_API_KEY"] {
        app.set(name, "");
    }
    is_unavailable_everywhere(&app).await;
}

#[tokio::test]
async fn without_an_issuer_a_function_answers_that_it_is_unavailable() {
    let mut app = TestApp::new().await;
    app.set("JWT_ISSUER", "");
    is_unavailable_everywhere(&app).await;
}

#[tokio::test]
async fn without_a_key_for_tokens_a_function_answers_that_it_is_unavailable() {
    let mut app = TestApp::new().await;
    app.set("JWT_SECRET", "");
    is_unavailable_everywhere(&app).await;
}

/// RFC 7518, 3.2.
#[tokio::test]
async fn a_secret_that_is_too_short_to_be_a_key_is_a_mistake_of_the_configuration() {
    let mut app = TestApp::new().await;
    for (secret, is_key) in [("x".repeat(31), false), ("secret".to_owned(), false), ("x".repeat(32), true)] {
        app.issuer = Issuer { issuer: app.issuer.issuer.clone(), ..Issuer::new(secret.clone()) };
        app.set("JWT_SECRET", &secret);
        if is_key {
            app.list("owner", "").await.expect(200);
        } else {
            is_unavailable_everywhere(&app).await;
        }
    }
}

#[tokio::test]
async fn without_a_database_a_function_answers_that_it_is_unavailable() {
    let mut app = TestApp::new().await;
    app.set("DATABASE_URL", "");
    is_unavailable_everywhere(&app).await;
    // No server listens on this port, which was just released.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    app.set("DATABASE_URL", &format!("postgres://app:hunter2@127.0.0.1:{port}/app?sslmode=disable"));
    is_unavailable_everywhere(&app).await;
    for wrong in ["hunter2", "postgres://", "mysql://app:hunter2@127.0.0.1/app"] {
        app.set("DATABASE_URL", wrong);
        is_unavailable_everywhere(&app).await;
    }
}

#[tokio::test]
async fn a_database_that_never_answers_is_given_up_in_time() {
    let mut app = TestApp::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.set("DATABASE_URL", &format!("postgres://app:hunter2@{}/app?sslmode=disable", silent.local_addr().unwrap()));
    let (reply, took) = in_virtual_time(app.list("owner", "")).await;
    reply.expect_problem(503, "unavailable");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_table_of_the_platform_that_is_missing_is_our_trouble_and_not_the_callers() {
    let app = TestApp::new().await;
    app.sql.batch_execute("alter table users rename to people").await.unwrap();
    let functions = Functions::start(&app);
    for call in all_calls() {
        let reply = functions.call(&app.token("owner"), &call).await.expect_problem(503, "unavailable");
        assert!(!reply.body.to_string().contains("users"), "{:#}", reply.body);
    }
}

#[tokio::test]
async fn a_database_connection_that_died_is_replaced_without_the_caller_noticing() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({})).await;
    let token = app.token("owner");
    let kill =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    for call in calls(row["id"].as_str().unwrap(), &agent(&demo::DEMO, 0).to_string()) {
        if call.function == "phone-numbers-release" {
            continue;
        }
        let before = functions.call(&token, &call).await;
        let killed: i64 = app.sql.query_one(kill, &[]).await.unwrap().get(0);
        assert!(killed > 0, "{call:?}");
        let after = functions.call(&token, &call).await;
        assert_eq!((after.status, after.code()), (before.status, before.code()), "{call:?}: {:#}", after.body);
        assert!(after.status < 500);
    }
}
