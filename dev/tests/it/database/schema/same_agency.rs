//! A number has an agent of its own agency, or none.

use super::{lines, refusal, two_agencies};

const RULE: &str = "agency_phone_numbers_agent_same_agency";

#[tokio::test]
async fn an_agent_of_another_agency_is_refused_on_every_path() {
    let (_database, client) = two_agencies().await;
    client.batch_execute("update agency_phone_numbers set agent_mapping_id = '0a000000-0000-4000-8000-00000000000a'").await.unwrap();
    for statement in [
        "insert into agency_phone_numbers (agency_id, phone_number, agent_mapping_id)
         values ('0a000000-0000-4000-8000-000000000000', '+13125550102', '0b000000-0000-4000-8000-00000000000a')",
        "update agency_phone_numbers set agent_mapping_id = '0b000000-0000-4000-8000-00000000000a'",
        "update agency_phone_numbers set agency_id = '0b000000-0000-4000-8000-000000000000'",
        "insert into agency_phone_numbers (agency_id, phone_number)
         values ('0a000000-0000-4000-8000-000000000000', '+13125550100')
         on conflict (phone_number) do update set agent_mapping_id = '0b000000-0000-4000-8000-00000000000a'",
    ] {
        let error = refusal(&client, statement).await;
        assert_eq!(error.constraint(), Some(RULE), "{statement}");
        assert_eq!(error.table(), Some("agency_phone_numbers"));
        assert_eq!(error.code().code(), "23503");
    }
}

#[tokio::test]
async fn an_agent_that_never_existed_is_refused_with_the_same_message() {
    let (_database, client) = two_agencies().await;
    let statement = |agent: &str| format!("update agency_phone_numbers set agent_mapping_id = '{agent}'");
    let unknown = "0c000000-0000-4000-8000-00000000000a";
    let foreign = "0b000000-0000-4000-8000-00000000000a";
    let of_nobody = refusal(&client, &statement(unknown)).await;
    let of_another = refusal(&client, &statement(foreign)).await;
    assert_eq!(of_nobody.constraint(), Some(RULE));
    assert_eq!(of_nobody.message().replace(unknown, foreign), of_another.message());
}

#[tokio::test]
async fn a_session_cannot_put_agents_of_its_own_before_the_platforms() {
    let (_database, client) = two_agencies().await;
    client
        .batch_execute(
            "create schema mine;
             create table mine.agent_mappings as
             select '0b000000-0000-4000-8000-00000000000a'::uuid as id, '0a000000-0000-4000-8000-000000000000'::uuid as agency_id;
             create temporary table agent_mappings as table mine.agent_mappings;
             set search_path = mine, public",
        )
        .await
        .unwrap();
    let error = refusal(&client, "update agency_phone_numbers set agent_mapping_id = '0b000000-0000-4000-8000-00000000000a'").await;
    assert_eq!(error.constraint(), Some(RULE));
}

#[tokio::test]
async fn deleting_an_agent_unassigns_its_numbers() {
    let (_database, client) = two_agencies().await;
    client
        .batch_execute(
            "update agency_phone_numbers set agent_mapping_id = '0a000000-0000-4000-8000-00000000000a';
             delete from agent_mappings",
        )
        .await
        .unwrap();
    let numbers =
        lines(&client, "select n.phone_number, coalesce(n.agent_mapping_id::text, 'unassigned') from agency_phone_numbers as n").await;
    assert_eq!(numbers, ["+13125550100 unassigned"]);
}
