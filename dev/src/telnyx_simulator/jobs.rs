//! `/phone_numbers/jobs`: deleting and updating many numbers at once, in the background.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clock::millis,
    errors::Problem,
    job::{Job, JobKind},
    number_settings, numbers,
    pagination::Page,
    query::Query,
    state::SimulatorState,
};

const MOST_NUMBERS: usize = 1000;
const MOST_PENDING_JOBS: usize = 20;

pub(super) fn create(state: &mut SimulatorState, account: &str, kind: JobKind, body: &Value) -> Result<Value, Problem> {
    let refused = |detail: &str, pointer: &str| Problem::new(422, "10015", detail).at(pointer);
    if state.jobs.iter().filter(|job| job.account == account && job.is_pending()).count() >= MOST_PENDING_JOBS {
        return Err(refused("You can have at most 20 pending or in progress jobs", "/base"));
    }
    let listed = body["phone_numbers"].as_array().ok_or_else(|| refused("must be present", "/phone_numbers"))?;
    if listed.is_empty() {
        return Err(refused("You must provide at least 1 phone number.", "/phone_numbers"));
    }
    if listed.len() > MOST_NUMBERS {
        return Err(refused("1000 numbers is the maximum allowed.", "/phone_numbers"));
    }
    let names: Vec<_> = listed.iter().map(|name| name.as_str().unwrap_or_default()).collect();
    if names.iter().map(|name| name.starts_with('+')).collect::<HashSet<_>>().len() > 1 {
        return Err(refused("You must specify either all phone numbers in the e164 format or all as phone number ids", "/phone_numbers"));
    }
    let own = |name: &&str| {
        let index = state.position(account, name).ok()?;
        Some((state.numbers[index].id.clone(), state.numbers[index].offer.phone_number.clone()))
    };
    let numbers = names.iter().map(own).collect::<Option<Vec<_>>>();
    let numbers = numbers.ok_or_else(|| refused("You must own every number in the bulk request", "/phone_numbers"))?;
    let now = state.now();
    let job = Job {
        id: Uuid::new_v4(),
        account: account.to_owned(),
        kind,
        body: body.clone(),
        numbers,
        results: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let answer = json!({ "data": job.shown() });
    state.jobs.push(job);
    Ok(answer)
}

pub(super) fn list(state: &SimulatorState, account: &str, query: &Query) -> Result<Value, Problem> {
    let page = Page::from(query, &state.settings)?;
    let kind = query.filter("type");
    let jobs = state.jobs.iter().rev().filter(|job| job.account == account).map(Job::shown);
    let found: Vec<_> = jobs.filter(|job| kind.is_none_or(|kind| job["type"] == kind)).collect();
    Ok(page.answer(&found, Value::clone))
}

pub(super) fn get(state: &SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let job = state.jobs.iter().find(|job| job.account == account && job.id.to_string() == id);
    Ok(json!({ "data": job.ok_or_else(Problem::not_found)?.shown() }))
}

/// Carries out the jobs that are due.
pub(super) fn settle(state: &mut SimulatorState) {
    let now = state.now();
    let delay = millis(state.settings.job_delay_ms);
    for index in 0..state.jobs.len() {
        let job = &state.jobs[index];
        if job.is_pending() && job.created_at + delay <= now {
            let (account, kind, body, numbers) = (job.account.clone(), job.kind, job.body.clone(), job.numbers.clone());
            let results = numbers.iter().map(|(id, _)| operate(state, &account, kind, &body, id)).collect();
            state.jobs[index].results = results;
            state.jobs[index].updated_at = now;
        }
    }
}

fn operate(state: &mut SimulatorState, account: &str, kind: JobKind, body: &Value, id: &str) -> Result<(), Problem> {
    let index = state.position(account, id)?;
    if kind == JobKind::Delete {
        return numbers::delete_at(state, index).map(drop);
    }
    numbers::apply(state, index, body)?;
    let number = &mut state.numbers[index];
    // The lock can be set only by a job.
    number.deletion_lock_enabled = body["deletion_lock_enabled"].as_bool().unwrap_or(number.deletion_lock_enabled);
    number_settings::set_voice(number, &body["voice"]);
    Ok(())
}
