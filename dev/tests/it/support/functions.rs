//! The functions that web apps call, as one: what holds for all of them is tested on each of them.

use lambda_http::http::request::Builder;
use lambda_http::http::{Method, Request};
use lambda_http::{Body, http};
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use shared::lambda::{Function, Service};

use crate::support::app::{ORIGIN, Reply, TestApp, deliver, event, with_query};
use crate::support::product::web_functions;

/// Declares the functions: a field for each, and what is the same for all of them.
macro_rules! functions {
    ($($field:ident: $function:ty),+ $(,)?) => {
        /// Each function and the methods it takes.
        pub(crate) const FUNCTIONS: &[(&str, &[&str])] = &[$((<$function>::NAME, <$function>::METHODS)),+];

        /// All of them, running.
        pub(crate) struct Functions {
            $($field: Service<$function>),+
        }

        impl Functions {
            pub(crate) fn start(app: &TestApp) -> Self {
                Self { $($field: app.function()),+ }
            }

            /// As Lambda's runtime hands it over.
            pub(crate) async fn deliver(&self, function: &str, request: Request<Body>) -> Reply {
                match function {
                    $(<$function>::NAME => deliver(&self.$field, request).await,)+
                    unknown => panic!("no function {unknown}"),
                }
            }

            /// An event of API Gateway.
            pub(crate) async fn handle(&self, function: &str, payload: &Value) -> Reply {
                let answer = match function {
                    $(<$function>::NAME => self.$field.handle(event(payload)).await,)+
                    unknown => panic!("no function {unknown}"),
                };
                Reply::to_event(&answer.unwrap())
            }
        }
    };
}

functions! { search: Search, purchase: Purchase, list: List, assign: Assign, release: Release }

#[test]
fn the_functions_are_those_that_the_template_gives_to_web_apps() {
    let mut ours: Vec<_> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    let mut deployed = web_functions();
    ours.sort_unstable();
    deployed.sort_unstable();
    assert_eq!(ours, deployed);
}

impl Functions {
    pub(crate) async fn answer(&self, function: &str, request: Request<Body>) -> Reply {
        self.deliver(function, with_query(request)).await
    }

    /// Makes a call in the name of a token's user.
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
