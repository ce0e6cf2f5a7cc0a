//! Published keys: tokens signed with RS256 and ES256, checked with the keys of a JWKS URL.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use dev::demo;
use dev::token::{AUDIENCE, Issuer};
use lambda_http::http::HeaderMap;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use shared::auth::Authenticator;
use shared::config::{Aws, Tokens};
use shared::error::Error;
use shared::secrets::Secrets;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::support::app::{TestApp, agent};
use crate::support::functions::{Functions, calls};

const PUBLIC_PEM: &str = include_str!("fixtures/nobodys-rsa-key.pub.pem");

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    let pem = include_str!("fixtures/nobodys-rsa-key.pem");
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(text).unwrap()).unwrap()
});

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A signing key, and its public key with an id.
pub(crate) enum Key {
    Rsa(&'static str),
    Ec(&'static str, Box<EcdsaKeyPair>),
}

impl Key {
    pub(crate) fn ec(name: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::Ec(name, Box::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()))
    }

    /// The published JWK.
    fn published(&self) -> Value {
        match self {
            Self::Rsa(name) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(RSA.public());
                json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": name, "n": encoded(n), "e": encoded(e)})
            }
            Self::Ec(name, pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": name, "x": encoded(x), "y": encoded(y)})
            }
        }
    }

    fn header(&self) -> Value {
        match self {
            Self::Rsa(name) => json!({"alg": "RS256", "typ": "JWT", "kid": name}),
            Self::Ec(name, _) => json!({"alg": "ES256", "typ": "JWT", "kid": name}),
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(_) => {
                let mut signature = vec![0; RSA.public().modulus_len()];
                RSA.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(_, pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", encoded(signature))
    }

    /// A token of the demo's owner.
    pub(crate) fn token(&self) -> String {
        self.sign(&self.header(), &claims())
    }
}

fn claims() -> Value {
    let owner = demo::USERS[0];
    Issuer::new(String::new()).claims(owner.id, owner.email)
}

/// An issuer that publishes its keys and counts the requests.
struct Published {
    url: String,
    document: Arc<Mutex<Option<String>>>,
    fetches: Arc<AtomicUsize>,
    server: AbortHandle,
}

impl Published {
    async fn start(keys: &[&Key]) -> Self {
        let (document, fetches) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let (answer, count) = (Arc::clone(&document), Arc::clone(&fetches));
        let fetch = move || {
            count.fetch_add(1, Ordering::Relaxed);
            let answer: Option<String> = answer.lock().unwrap().clone();
            async move { answer.ok_or(StatusCode::SERVICE_UNAVAILABLE) }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
        let router = Router::new().route("/.well-known/jwks.json", get(fetch));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        let published = Self { url, document, fetches, server };
        published.publish(keys);
        published
    }

    fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
        self.answer(Some(&json!({"keys": keys})));
    }

    /// Sets the document; `None` means that the issuer is down.
    fn answer(&self, document: Option<&Value>) {
        *self.document.lock().unwrap() = document.map(Value::to_string);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    /// The authenticator of a function that trusts only this issuer.
    fn authenticator(&self) -> Authenticator {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tokens = Tokens {
            secret: None,
            jwks_url: Some(self.url.clone()),
            issuer: Some(Issuer::new(String::new()).issuer),
            audience: AUDIENCE.to_owned(),
        };
        Authenticator::new(tokens, Arc::new(Secrets::new(&Aws::default(), Duration::from_secs(1))))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn user(authenticator: &Authenticator, token: &str) -> Result<Uuid, Error> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    authenticator.user(&headers).await
}

async fn accepts(authenticator: &Authenticator, key: &Key) {
    assert_eq!(user(authenticator, &key.token()).await.unwrap(), demo::USERS[0].id);
}

async fn refuses(authenticator: &Authenticator, token: &str) {
    let outcome = user(authenticator, token).await;
    assert!(matches!(outcome, Err(Error::Unauthorized(_))), "{outcome:?}");
}

/// Advances the clock.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn app(published: &Published) -> TestApp {
    let mut app = TestApp::new().await;
    app.set("JWT_SECRET", "");
    app.set("JWKS_URL", &published.url);
    app
}

#[tokio::test]
async fn a_token_signed_with_a_published_key_opens_every_function() {
    let (rsa, ec) = (Key::Rsa("one"), Key::ec("two"));
    let published = Published::start(&[&rsa, &ec]).await;
    let app = app(&published).await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({})).await;
    for key in [&rsa, &ec] {
        for call in calls(row["id"].as_str().unwrap(), &agent(&demo::DEMO, 0).to_string()) {
            let status = functions.call(&key.token(), &call).await.status;
            assert!(![401, 403, 500, 503].contains(&status), "{call:?}: {status}");
        }
    }
}

#[tokio::test]
async fn a_shared_secret_and_published_keys_serve_side_by_side() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    let mut app = TestApp::new().await;
    app.set("JWKS_URL", &published.url);
    let functions = Functions::start(&app);
    let list = &calls("", "")[2];
    functions.call(&ec.token(), list).await.expect(200);
    functions.call(&app.token("owner"), list).await.expect(200);
}

/// RFC 8725, 2.1: the public key must not be usable as a shared secret.
#[tokio::test]
async fn a_published_key_is_no_shared_secret() {
    let rsa = Key::Rsa("one");
    let published = Published::start(&[&rsa]).await;
    let alone = app(&published).await;
    let mut beside_a_secret = TestApp::new().await;
    beside_a_secret.set("JWKS_URL", &published.url);
    let modulus = rsa.published()["n"].as_str().unwrap().to_owned();
    for app in [alone, beside_a_secret] {
        let functions = Functions::start(&app);
        for secret in [PUBLIC_PEM, PUBLIC_PEM.trim_end(), &modulus, &rsa.published().to_string(), ""] {
            let token = Issuer::new(secret.to_owned()).sign(&claims());
            for call in calls("00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000") {
                functions.call(&token, &call).await.expect_problem(401, "unauthorized");
            }
        }
    }
}

#[tokio::test]
async fn a_signature_of_another_key_or_algorithm_is_refused() {
    let (rsa, ec, stranger) = (Key::Rsa("one"), Key::ec("two"), Key::ec("two"));
    let published = Published::start(&[&rsa, &ec]).await;
    let authenticator = published.authenticator();
    accepts(&authenticator, &ec).await;
    refuses(&authenticator, &stranger.token()).await;
    for (alg, kid) in [("ES256", "one"), ("RS256", "two"), ("RS512", "one"), ("ES384", "two"), ("HS256", "one")] {
        let header = json!({"alg": alg, "typ": "JWT", "kid": kid});
        refuses(&authenticator, &rsa.sign(&header, &claims())).await;
        refuses(&authenticator, &ec.sign(&header, &claims())).await;
    }
}

#[tokio::test]
async fn the_claims_of_a_token_signed_with_a_published_key_are_checked_all_the_same() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    let authenticator = published.authenticator();
    for (claim, value) in
        [("exp", json!(1)), ("iss", json!("another")), ("aud", json!("anon")), ("sub", json!("owner")), ("nbf", json!(9e9))]
    {
        let mut claims = claims();
        claims[claim] = value;
        refuses(&authenticator, &ec.sign(&ec.header(), &claims)).await;
    }
    accepts(&authenticator, &ec).await;
}

#[tokio::test]
async fn a_token_without_a_key_id_is_accepted_only_if_there_is_one_key() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    let anonymous = ec.sign(&json!({"alg": "ES256", "typ": "JWT"}), &claims());
    assert!(user(&published.authenticator(), &anonymous).await.is_ok());
    published.publish(&[&ec, &Key::ec("two")]);
    refuses(&published.authenticator(), &anonymous).await;
}

#[tokio::test]
async fn keys_are_fetched_once_and_remembered() {
    let (rsa, ec) = (Key::Rsa("one"), Key::ec("two"));
    let published = Published::start(&[&rsa, &ec]).await;
    let authenticator = published.authenticator();
    tokio::join!(accepts(&authenticator, &rsa), accepts(&authenticator, &ec), accepts(&authenticator, &rsa));
    pass(Duration::from_mins(9)).await;
    accepts(&authenticator, &ec).await;
    assert_eq!(published.fetches(), 1);
    pass(Duration::from_mins(2)).await;
    accepts(&authenticator, &ec).await;
    accepts(&authenticator, &rsa).await;
    assert_eq!(published.fetches(), 2);
}

#[tokio::test]
async fn tokens_that_name_unknown_keys_cannot_make_us_hammer_the_issuer() {
    let (ec, stranger) = (Key::ec("one"), Key::ec("forged"));
    let published = Published::start(&[&ec]).await;
    let authenticator = published.authenticator();
    accepts(&authenticator, &ec).await;
    for fetches in 1..4 {
        for _ in 0..5 {
            refuses(&authenticator, &stranger.token()).await;
        }
        assert_eq!(published.fetches(), fetches);
        pass(Duration::from_secs(31)).await;
    }
}

#[tokio::test]
async fn a_rotated_key_is_picked_up_and_the_old_one_dropped() {
    let (old, new) = (Key::ec("old"), Key::ec("new"));
    let published = Published::start(&[&old]).await;
    let authenticator = published.authenticator();
    accepts(&authenticator, &old).await;
    published.publish(&[&new]);
    pass(Duration::from_secs(31)).await;
    accepts(&authenticator, &new).await;
    refuses(&authenticator, &old.token()).await;
    assert_eq!(published.fetches(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_makes_functions_unavailable_until_it_is_back() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    published.answer(None);
    let app = app(&published).await;
    let functions = Functions::start(&app);
    for call in calls("00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000") {
        let reply = functions.call(&ec.token(), &call).await.expect_problem(503, "unavailable");
        assert!(!reply.body.to_string().contains("127.0.0.1"), "{:#}", reply.body);
    }
    published.publish(&[&ec]);
    pass(Duration::from_secs(6)).await;
    functions.call(&ec.token(), &calls("", "")[2]).await.expect(200);
}

#[tokio::test]
async fn tokens_cannot_make_us_hammer_an_issuer_that_is_down_even_before_there_are_keys() {
    let ec = Key::ec("one");
    let published = Published::start(&[]).await;
    published.answer(None);
    let authenticator = published.authenticator();
    for fetches in 1..4 {
        for _ in 0..50 {
            let outcome = user(&authenticator, &ec.token()).await;
            assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
        }
        assert_eq!(published.fetches(), fetches);
        pass(Duration::from_secs(6)).await;
    }
    published.publish(&[&ec]);
    accepts(&authenticator, &ec).await;
}

#[tokio::test]
async fn a_fetch_that_was_cancelled_does_not_delay_the_next_one() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    let authenticator = published.authenticator();
    assert!(tokio::time::timeout(Duration::ZERO, authenticator.warm()).await.is_err());
    accepts(&authenticator, &ec).await;
}

#[tokio::test]
async fn a_redirect_to_other_keys_is_not_followed() {
    let ec = Key::ec("one");
    let elsewhere = Published::start(&[&ec]).await;
    let url = elsewhere.url.clone();
    let router = Router::new().fallback(move || async move { Redirect::temporary(&url) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut published = Published::start(&[]).await;
    published.url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let outcome = user(&published.authenticator(), &ec.token()).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert_eq!(elsewhere.fetches(), 0);
    server.abort();
}

#[tokio::test]
async fn no_more_than_256_kib_of_keys_are_read() {
    let ec = Key::ec("one");
    let published = Published::start(&[]).await;
    for (padding, is_read) in [(250_000, true), (262_144, false), (10_000_000, false)] {
        published.answer(Some(&json!({"keys": [ec.published()], "padding": "x".repeat(padding)})));
        let outcome = user(&published.authenticator(), &ec.token()).await;
        assert_eq!(outcome.is_ok(), is_read, "{padding}: {outcome:?}");
        assert!(is_read || matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    }
}

/// RFC 7517, 4.2 and 4.3.
#[tokio::test]
async fn a_key_that_is_published_for_anything_but_verifying_verifies_nothing() {
    let (ec, other) = (Key::ec("one"), Key::ec("other"));
    let published = Published::start(&[]).await;
    let odd = [("use", json!("enc")), ("use", json!("tls")), ("key_ops", json!(["encrypt", "wrapKey"])), ("key_ops", json!([]))];
    for (member, value) in odd {
        let mut jwk = ec.published();
        jwk.as_object_mut().unwrap().remove("use");
        jwk[member] = value;
        published.answer(Some(&json!({"keys": [jwk, other.published()]})));
        let authenticator = published.authenticator();
        refuses(&authenticator, &ec.token()).await;
        accepts(&authenticator, &other).await;
        // It does not count as a second key, either.
        assert!(user(&authenticator, &other.sign(&json!({"alg": "ES256"}), &claims())).await.is_ok());
    }
    let mut jwk = ec.published();
    jwk["key_ops"] = json!(["verify"]);
    published.answer(Some(&json!({"keys": [jwk]})));
    accepts(&published.authenticator(), &ec).await;
}

#[tokio::test]
async fn an_issuer_that_is_gone_or_talks_nonsense_makes_functions_unavailable() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    for nonsense in [json!("hello"), json!([]), json!({}), json!({"keys": {}})] {
        published.answer(Some(&nonsense));
        let outcome = user(&published.authenticator(), &ec.token()).await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{nonsense}: {outcome:?}");
    }
    published.server.abort();
    let outcome = user(&published.authenticator(), &ec.token()).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn known_keys_go_on_serving_for_a_day_while_the_issuer_is_down() {
    let ec = Key::ec("one");
    let published = Published::start(&[&ec]).await;
    let authenticator = published.authenticator();
    accepts(&authenticator, &ec).await;
    published.answer(None);
    for _ in 0..23 {
        pass(Duration::from_hours(1)).await;
        accepts(&authenticator, &ec).await;
    }
    assert_eq!(published.fetches(), 24);
    pass(Duration::from_hours(2)).await;
    let outcome = user(&authenticator, &ec.token()).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_key_of_a_kind_we_do_not_know_hides_no_other() {
    let ec = Key::ec("one");
    let published = Published::start(&[]).await;
    let odd = [json!(null), json!("key"), json!({}), json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "odd"})];
    let odder = [json!({"kty": "EC", "crv": "P-256", "kid": "broken", "x": "!", "y": 7}), json!({"kty": "quantum", "kid": "later"})];
    let keys: Vec<_> = odd.into_iter().chain([ec.published()]).chain(odder).collect();
    published.answer(Some(&json!({"keys": keys})));
    let authenticator = published.authenticator();
    accepts(&authenticator, &ec).await;
    for name in ["odd", "broken", "later"] {
        refuses(&authenticator, &ec.sign(&json!({"alg": "ES256", "kid": name}), &claims())).await;
    }
}
