//! `/available_phone_numbers`.

use super::{Telnyx, code};

#[tokio::test]
async fn every_filter_narrows_a_search() {
    let telnyx = Telnyx::start().await;
    let all = |query: &'static str| {
        let telnyx = &telnyx;
        async move {
            let path = format!("/available_phone_numbers?filter[limit]=40&{query}");
            let found = telnyx.get(&path).await.1["data"].as_array().unwrap().clone();
            assert!(!found.is_empty(), "{query}");
            found
        }
    };
    let region = |number: &serde_json::Value, kind: &str| {
        let regions = number["region_information"].as_array().unwrap();
        let region = regions.iter().find(|region| region["region_type"] == kind);
        region.map_or(String::new(), |region| region["region_name"].as_str().unwrap().to_owned())
    };
    for number in all("filter[country_code]=GB&filter[phone_number_type]=mobile").await {
        assert!(number["phone_number"].as_str().unwrap().starts_with("+447"));
    }
    for number in all("filter[features]=voice,sms,mms").await {
        let features: Vec<_> = number["features"].as_array().unwrap().iter().map(|feature| &feature["name"]).collect();
        assert!(["voice", "sms", "mms"].iter().all(|wanted| features.iter().any(|f| *f == wanted)));
    }
    for number in all("filter[locality]=chicago").await {
        assert_eq!(region(&number, "location"), "Chicago");
    }
    for number in all("filter[administrative_area]=ON&filter[country_code]=CA").await {
        assert_eq!(region(&number, "state"), "ON");
    }
    for number in all("filter[rate_center]=SEATTLE").await {
        assert_eq!(region(&number, "rate_center"), "SEATTLE");
    }
    for number in all("filter[reservable]=false").await {
        assert_eq!(number["reservable"], false);
    }
    for number in all("filter[phone_number_type]=toll_free&filter[quickship]=true").await {
        assert_eq!(number["quickship"], true);
    }
    telnyx.finish();
}

#[tokio::test]
async fn a_pattern_applies_after_the_area_code_when_one_is_given() {
    let telnyx = Telnyx::start().await;
    let after = telnyx.found("filter[national_destination_code]=312&filter[phone_number][starts_with]=7").await;
    assert!(!after.is_empty());
    assert!(after.iter().all(|number| number.starts_with("+13127")));
    let national = telnyx.found("filter[country_code]=US&filter[phone_number][starts_with]=3127").await;
    assert_eq!(after, national);
    let exact = &after[0];
    let query = format!("filter[phone_number][contains]={}", &exact[2..]);
    assert_eq!(&telnyx.found(&query).await, std::slice::from_ref(exact));
    let ending = format!("filter[phone_number][ends_with]={}", &exact[8..]);
    assert!(telnyx.found(&ending).await.contains(exact));
    assert!(telnyx.found("filter[phone_number][contains]=312*").await.is_empty());
    telnyx.finish();
}

#[tokio::test]
async fn a_search_that_finds_nothing_is_an_empty_success() {
    let telnyx = Telnyx::start().await;
    let (status, body) = telnyx.get("/available_phone_numbers?filter[country_code]=ZZ").await;
    assert_eq!((status, &body["data"]), (200, &serde_json::json!([])));
    assert_eq!(body["meta"], serde_json::json!({ "total_results": 0, "best_effort_results": 0 }));
    assert_eq!(body["meta"], body["metadata"]);
    telnyx.finish();
}

#[tokio::test]
async fn near_matches_come_flagged_and_only_in_the_us_and_canada() {
    let telnyx = Telnyx::start().await;
    let query = "/available_phone_numbers?filter[best_effort]=true&filter[phone_number_type]=local&filter[limit]=100";
    let (_, body) = telnyx.get(&format!("{query}&filter[national_destination_code]=312")).await;
    assert_eq!(body["meta"]["best_effort_results"], 20);
    assert_eq!(body["data"][0]["best_effort"], false);
    assert_eq!(body["data"][99]["best_effort"], true);
    let (_, body) = telnyx.get(&format!("{query}&filter[country_code]=FR&filter[locality]=Paris")).await;
    assert_eq!(body["meta"]["best_effort_results"], 0);
    telnyx.finish();
}

#[tokio::test]
async fn unwrapped_and_unknown_parameters_are_ignored() {
    let telnyx = Telnyx::start().await;
    let found = telnyx.found("national_destination_code=312&filter[area]=312").await;
    assert_eq!(found, telnyx.found("").await);
    telnyx.finish_checking_answers();
}

#[tokio::test]
async fn a_limit_that_is_no_number_is_refused_by_name() {
    let telnyx = Telnyx::start().await;
    let (status, body) = telnyx.get("/available_phone_numbers?filter[limit]=few").await;
    assert_eq!((status, code(&body)), (400, "10015"));
    assert_eq!(body["errors"][0]["source"]["parameter"], "filter[limit]");
    telnyx.finish_checking_answers();
}

#[tokio::test]
async fn a_search_is_refused_if_it_has_all_filters_of_one_that_is_listed() {
    let telnyx = Telnyx::start().await;
    let listed = serde_json::json!([
        { "country_code": "PR" },
        { "country_code": "US", "phone_number_type": "mobile", "status": 400, "code": "10015" },
        { "features": "fax", "phone_number[contains]": "5,5" },
    ]);
    telnyx.set(serde_json::json!({ "refused_searches": listed })).await;
    for (query, refused) in [
        ("filter[country_code]=pr&filter[limit]=1", Some((422, "10027"))),
        ("filter[country_code]=US&filter[phone_number_type]=mobile", Some((400, "10015"))),
        ("filter[country_code]=US&filter[phone_number_type]=local&filter[limit]=1", None),
        ("filter[country_code]=GB&filter[phone_number_type]=mobile&filter[limit]=1", None),
        ("filter[features]=voice,fax&filter[phone_number][contains]=5%2C5", Some((422, "10027"))),
        ("filter[features]=voice,fax&filter[limit]=1", None),
        ("country_code=PR&filter[limit]=1", None),
    ] {
        let (status, body) = telnyx.get(&format!("/available_phone_numbers?{query}")).await;
        let seen = (status != 200).then(|| (status, code(&body)));
        assert_eq!(seen, refused, "{query}");
    }
    for listed in [serde_json::json!([{ "country_code": "PR", "status": 42 }]), serde_json::json!([{ "country_code": null }])] {
        let (status, _) = telnyx.control(reqwest::Method::PUT, "/settings", serde_json::json!({ "refused_searches": listed })).await;
        assert_eq!(status, 400);
    }
    telnyx.finish_checking_answers();
}

#[tokio::test]
async fn what_numbers_cost_can_be_set_and_kept_quiet() {
    let telnyx = Telnyx::start().await;
    let cost = async || telnyx.get("/available_phone_numbers?filter[limit]=1").await.1["data"][0]["cost_information"].clone();
    let own = cost().await;
    for set in [serde_json::json!({"monthly_cost": "9.00", "currency": "EUR"}), serde_json::json!({})] {
        telnyx.set(serde_json::json!({ "cost_information": set })).await;
        assert_eq!(cost().await, set);
    }
    telnyx.set(serde_json::json!({ "cost_information": null })).await;
    assert_eq!(cost().await, own);
    telnyx.finish();
}
