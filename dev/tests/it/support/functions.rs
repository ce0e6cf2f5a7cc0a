//! The five functions as one: what holds for each of them is asked of each of them.

use lambda_http::http::request::Builder;
use lambda_http::http::{Method, Request};
use lambda_http::{Body, http};
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use shared::lambda::Service;

use crate::support::app::{ORIGIN, Reply, TestApp, deliver, with_query};

/// Each function and the methods it takes.
pub(crate) const FUNCTIONS: [(&str, &[&str]); 5] = [
    ("phone-numbers-search", &["GET"]),
    ("phone-numbers-purchase", &["POST"]),
    ("phone-numbers-list", &["GET"]),
    ("phone-numbers-assign", &["GET", "POST", "PATCH", "DELETE"]),
    ("phone-numbers-release", &["POST"]),
];

/// All five, running.
pub(crate) struct Functions {
    search: Service<Search>,
    purchase: Service<Purchase>,
    list: Service<List>,
    assign: Service<Assign>,
    release: Service<Release>,
}

impl Functions {
    pub(crate) fn start(app: &TestApp) -> Self {
        Self { search: app.function(), purchase: app.function(), list: app.function(), assign: app.function(), release: app.function() }
    }

    pub(crate) async fn answer(&self, function: &str, request: Request<Body>) -> Reply {
        self.deliver(function, with_query(request)).await
    }

    /// As Lambda's runtime hands it over.
    pub(crate) async fn deliver(&self, function: &str, request: Request<Body>) -> Reply {
        match function {
            "phone-numbers-search" => deliver(&self.search, request).await,
            "phone-numbers-purchase" => deliver(&self.purchase, request).await,
            "phone-numbers-list" => deliver(&self.list, request).await,
            "phone-numbers-assign" => deliver(&self.assign, request).await,
            "phone-numbers-release" => deliver(&self.release, request).await,
            unknown => panic!("no function {unknown}"),
        }
    }

    /// Makes a call in the name of whoever holds a token.
    pub(crate) async fn call(&self, token: &str, call: &Call) -> Reply {
        self.answer(call.function, call.request(&format!("Bearer {token}"))).await
    }
}

/// A request to a function without anybody's name on it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) function: &'static str,
    pub(crate) method: Method,
    pub(crate) query: String,
    pub(crate) body: Option<Value>,
}

impl Call {
    /// As a page sends it, with an `Authorization` header unless that is empty.
    pub(crate) fn request(&self, authorization: &str) -> Request<Body> {
        let mut request = page(self.method.as_str(), &self.query);
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        match &self.body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string().into()),
            None => request.body(Body::Empty),
        }
        .unwrap()
    }
}

/// The beginning of a request of a page.
pub(crate) fn page(method: &str, query: &str) -> Builder {
    http::Request::builder().method(method).uri(format!("https://api.example.com/?{query}")).header("origin", ORIGIN)
}

/// Right calls in each method of each function: about the row `id`, and a number that is not for sale.
pub(crate) fn calls(id: &str, agent: &str) -> Vec<Call> {
    let call = |function, method, query: &str, body| Call { function, method, query: query.to_owned(), body };
    vec![
        call("phone-numbers-search", Method::GET, "country_code=US&area_code=312&limit=1", None),
        call("phone-numbers-purchase", Method::POST, "", Some(json!({"phone_numbers": [{"phone_number": "+13125550123"}]}))),
        call("phone-numbers-list", Method::GET, "", None),
        call("phone-numbers-assign", Method::GET, "", None),
        call("phone-numbers-assign", Method::GET, &format!("id={id}"), None),
        call("phone-numbers-assign", Method::POST, "", Some(json!({"phone_number_id": id, "agent_mapping_id": agent}))),
        call("phone-numbers-assign", Method::PATCH, "", Some(json!({"phone_number_id": id, "friendly_name": "Front desk"}))),
        call("phone-numbers-assign", Method::DELETE, &format!("phone_number_id={id}"), None),
        call("phone-numbers-release", Method::POST, "", Some(json!({"phone_number_ids": [id], "confirm": true}))),
    ]
}
