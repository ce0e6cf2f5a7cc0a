//! How long each operation takes for an agency of 100,000 numbers, compared with one of 1,000 in the same database: on a database that
//! [`crate::populate`] has filled. Both are asked in turn by the handlers in this process, so that both meet the same noise.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lambda_http::http::{Method, Request};
use lambda_http::{Body, RequestExt as _};
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use reqwest::Url;
use serde_json::{Value, json};
use shared::config::Config;
use shared::lambda::{Function, Service};
use shared::model::{Actor, PriceLimits};
use shared::secrets::Secrets;
use shared::store::{Begun, Intent, Lease, Owner, PurchaseId, Store};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::postgres::{connect, describe};
use crate::token::Issuer;
use crate::{migrations, populate};

/// The largest agency, and the one that it is compared with.
const AGENCIES: [u32; 2] = [1, 2];
/// Requests before those that count: the statements are prepared, and Postgres has chosen their plans.
const WARM_UP: usize = 12;
/// Numbers of a page of Telnyx's inventory.
const INVENTORY_PAGE: i64 = 250;

/// The time of an operation for the largest agency and for the other one.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What was done.
    pub name: String,
    /// The median for each agency.
    pub p50: [Duration; 2],
}

impl Measured {
    /// How many times longer it takes for the largest agency.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.p50[0].as_secs_f64() / self.p50[1].as_secs_f64()
    }
}

/// The requests of one agency.
struct Requests {
    token: String,
    agency: u32,
    /// A row in the middle, and its number and name.
    row: Uuid,
    number: String,
    name: String,
    /// A cursor in the last tenth of the list.
    far: String,
}

struct Harness {
    list: Service<List>,
    assign: Service<Assign>,
    store: Store,
    sql: Client,
    issuer: Issuer,
}

/// Measures every operation `rounds` times for each agency.
///
/// # Errors
/// If the database was not filled by [`crate::populate`], or a request fails.
pub async fn measure(url: &str, rounds: usize) -> Result<Vec<Measured>> {
    let issuer = Issuer::default();
    let settings = || {
        Config::read(|name| match name {
            "DATABASE_URL" => Some(url.to_owned()),
            "DEPLOYMENT" => Some(migrations::DEPLOYMENT.to_owned()),
            "JWT_SECRET" => Some(issuer.secret.clone()),
            "JWT_ISSUER" => Some(issuer.issuer.clone()),
            _ => None,
        })
    };
    let config = settings()?;
    let store = Store::new(&config, Arc::new(Secrets::new(&config.aws, config.secrets_ttl)));
    let (list, assign, sql) = (Service::new(settings()), Service::new(settings()), connect(url).await?);
    let harness = Harness { list, assign, store, sql, issuer };
    let mut requests = Vec::new();
    for agency in AGENCIES {
        requests.push(harness.requests(agency).await?);
    }
    let mut measured = Vec::new();
    for (name, query) in LISTS {
        measured.push(
            in_turn(name, rounds, async |at| harness.get(&harness.list, &requests[at], &query(&requests[at])).await.map(drop)).await?,
        );
    }
    for (name, query) in ASSIGNS {
        measured.push(
            in_turn(name, rounds, async |at| harness.get(&harness.assign, &requests[at], &query(&requests[at])).await.map(drop)).await?,
        );
    }
    measured.push(in_turn("change a number's name", rounds, async |at| harness.rename(&requests[at]).await).await?);
    measured.push(in_turn("begin a purchase", rounds, async |at| harness.begin(AGENCIES[at]).await).await?);
    let pages = [harness.inventory(1).await?, harness.inventory(2).await?];
    let compare = async |at: usize| {
        let found = harness.store.counterparts(&pages[at], Duration::from_mins(1)).await?;
        ensure!(found.iter().all(|found| found.row.is_some() && found.purchase.is_some()), "a number has no row or no purchase");
        Ok(())
    };
    measured.push(in_turn("compare 250 numbers with Telnyx's", rounds, compare).await?);
    Ok(measured)
}

type Query = fn(&Requests) -> String;

const LISTS: [(&str, Query); 15] = [
    ("list: first page", |_| String::new()),
    ("list: 200 rows", |_| "limit=200".to_owned()),
    ("list: far page by cursor", |requests| format!("cursor={}", requests.far)),
    ("list: `status=active`", |_| "status=active".to_owned()),
    ("list: `status=pending`, 20 rows", |_| "status=pending&limit=20".to_owned()),
    ("list: `status=released`", |_| "status=released".to_owned()),
    ("list: `include_released`", |_| "include_released=true".to_owned()),
    ("list: `assigned`", |_| "assigned=true".to_owned()),
    ("list: `unassigned`", |_| "unassigned=true".to_owned()),
    ("list: `agent_id`", |requests| format!("agent_id={}", populate::agent(requests.agency, 1))),
    ("list: search for a number", |requests| format!("search={}", &requests.number[2..])),
    ("list: search for seven digits", |requests| format!("search={}", &requests.number[5..])),
    ("list: search for a name", |requests| format!("search={}", requests.name.replace(' ', "%20"))),
    ("list: search for what one row in eight has", |_| "search=%2B12".to_owned()),
    ("list: search for what one row in six has", |_| "search=front%20desk".to_owned()),
];

const ASSIGNS: [(&str, Query); 5] = [
    ("assign: 200 rows and the agents", |_| "limit=200".to_owned()),
    ("assign: 200 rows with an agent", |_| "limit=200&assigned=true".to_owned()),
    ("assign: 200 rows without an agent", |_| "limit=200&unassigned=true".to_owned()),
    ("assign: one number", |requests| format!("id={}", requests.row)),
    ("assign: one number with its history", |requests| format!("id={}&include_history=true", requests.row)),
];

/// Does something for each agency in turn, and takes the medians.
async fn in_turn(name: &str, rounds: usize, work: impl AsyncFn(usize) -> Result<()>) -> Result<Measured> {
    let mut times = [const { Vec::new() }; 2];
    for round in 0..WARM_UP + rounds {
        for (at, times) in times.iter_mut().enumerate() {
            let started = Instant::now();
            work(at).await.with_context(|| name.to_owned())?;
            if round >= WARM_UP {
                times.push(started.elapsed());
            }
        }
    }
    let p50 = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    Ok(Measured { name: name.to_owned(), p50 })
}

impl Harness {
    async fn requests(&self, agency: u32) -> Result<Requests> {
        let query = "\
select n.id, n.phone_number, n.friendly_name, n.created_at
from agency_phone_numbers n
where n.agency_id = $1 /* agency_id */
  and n.status = 'active'
  and n.friendly_name is not null
order by n.created_at
offset (select count(*) / 10 from agency_phone_numbers n where n.agency_id = $1 and n.status = 'active' and n.friendly_name is not null)
limit 1";
        let row = self.sql.query_opt(query, &[&populate::agency(agency)]).await.map_err(|error| describe(&error))?;
        let row = row.context("cargo dev populate fills the database first")?;
        let created_at: chrono::DateTime<chrono::Utc> = row.get("created_at");
        let position = shared::store::Position { created_at, id: row.get("id") };
        let far = shared::cursor::Cursor::new(populate::agency(agency), &shared::store::ListFilter::default(), position)?;
        Ok(Requests {
            token: self.issuer.token(populate::owner(agency), "owner@populated.example"),
            agency,
            row: row.get("id"),
            number: row.get("phone_number"),
            name: row.get("friendly_name"),
            far: far.to_string(),
        })
    }

    async fn get<F: Function>(&self, function: &Service<F>, requests: &Requests, query: &str) -> Result<Value> {
        ask(function, Method::GET, requests, query, Body::Empty).await
    }

    async fn rename(&self, requests: &Requests) -> Result<()> {
        let body = json!({"id": requests.row, "friendly_name": format!("Renamed {}", Uuid::new_v4())}).to_string();
        ask(&self.assign, Method::PATCH, requests, "", Body::Text(body)).await.map(drop)
    }

    async fn begin(&self, agency: u32) -> Result<()> {
        let digits = Uuid::new_v4().as_u128() % 10_000_000_000_000;
        let intent = Intent {
            id: Uuid::new_v4(),
            order_id: Uuid::new_v4(),
            number: format!("+9{digits:013}").parse().map_err(anyhow::Error::msg)?,
            friendly_name: None,
            agent_mapping_id: None,
            account: "platform".to_owned(),
            connection_id: None,
            customer_reference: None,
            limits: PriceLimits { monthly: None, upfront: None, currency: "USD".to_owned() },
        };
        let actor = Actor { user_id: populate::owner(agency), agency_id: populate::agency(agency) };
        let lease = Lease::new(PurchaseId(intent.id), Duration::from_secs(10));
        let begun = self.store.begin_purchase(&actor, &intent, &lease, Some(i64::MAX), None).await?;
        ensure!(matches!(begun, Begun::New(_)), "{begun:?}");
        Ok(())
    }

    /// A page of the inventory that an account with the agency's numbers has.
    async fn inventory(&self, agency: u32) -> Result<Vec<Owner>> {
        let query = "\
select n.phone_number, n.phone_number_id, p.telnyx_reference
from agency_phone_numbers n
join phone_number_purchases p on p.agency_phone_number_id = n.id
where n.agency_id = $1 /* agency_id */
  and n.status = 'active'
order by n.id
limit $2 /* limit */";
        let rows = self.sql.query(query, &[&populate::agency(agency), &INVENTORY_PAGE]).await.map_err(|error| describe(&error))?;
        let owner = |row: &tokio_postgres::Row| {
            let number = row.get::<_, &str>("phone_number").parse().map_err(anyhow::Error::msg)?;
            Ok(Owner { number, phone_number_id: row.get("phone_number_id"), reference: row.get("telnyx_reference") })
        };
        rows.iter().map(owner).collect()
    }
}

async fn ask<F: Function>(function: &Service<F>, method: Method, requests: &Requests, query: &str, body: Body) -> Result<Value> {
    let url = format!("https://api.example.com/?{query}");
    let mut parameters = std::collections::HashMap::<String, Vec<String>>::new();
    for (name, value) in Url::parse(&url)?.query_pairs().into_owned() {
        parameters.entry(name).or_default().push(value);
    }
    let request = Request::builder()
        .method(method)
        .uri(&url)
        .header("authorization", format!("Bearer {}", requests.token))
        .header("content-type", "application/json")
        .body(body)?;
    let response = function.answer(request.with_query_string_parameters(parameters)).await;
    let body: &[u8] = response.body().as_ref();
    ensure!(response.status().is_success(), "{query}: {}", String::from_utf8_lossy(body));
    Ok(serde_json::from_slice(body)?)
}

/// The measurements as a table in Markdown.
#[must_use]
pub fn table(measured: &[Measured]) -> String {
    let mut text = "| operation | largest agency, p50 ms | 1,000 rows, p50 ms | ratio |\n|---|---|---|---|\n".to_owned();
    for one in measured {
        let [large, small] = one.p50.map(|p50| p50.as_secs_f64() * 1_000.0);
        let _ = writeln!(text, "| {} | {large:.2} | {small:.2} | {:.2} |", one.name, one.ratio());
    }
    text
}
