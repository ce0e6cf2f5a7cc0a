//! Proof that an order or number does not exist: when the answer "not found" of a Telnyx account is accepted.
//!
//! A secret can hold the key of another account by mistake, which has none of these orders and numbers. So "not found" counts
//! only from a key that the ledger connects with the order or number in question: it is the very key that placed the order or
//! first showed the number, or it answers for that order, or for another one that was placed with the same key. And it counts
//! only if no other account that the agency may buy in has the number: numbers can be moved between accounts.

use uuid::Uuid;

use super::Sagas;
use crate::error::{Error, Source};
use crate::model::{E164, KeyDigest, Reference};
use crate::store::{FindingKind, Observation, Purchase, Witness};
use crate::telnyx::{Account, Failure, Owned, Session, usable_id};

/// What the ledger knows about a number that an account should have.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The number.
    pub number: &'a E164,
    /// The agency that bought it.
    pub agency_id: Uuid,
    /// The row, while there is one.
    pub row_id: Uuid,
    /// The account that the ledger names.
    pub account: &'a str,
    /// The purchase that bought it; None for a row that predates the ledger.
    pub purchase_id: Option<Uuid>,
    /// The reference of its order.
    pub reference: Option<&'a str>,
    /// The key that placed the order or first showed the number.
    pub key_digest: Option<KeyDigest>,
    /// Telnyx's id of the order.
    pub order_id: Option<&'a str>,
    /// Telnyx's id of the number.
    pub phone_number_id: Option<&'a str>,
}

impl<'a> From<&'a Purchase> for Trace<'a> {
    fn from(purchase: &'a Purchase) -> Self {
        Self {
            number: &purchase.number,
            agency_id: purchase.agency_id,
            row_id: purchase.row_id,
            account: &purchase.account,
            purchase_id: Some(purchase.id),
            reference: Some(&purchase.reference),
            key_digest: purchase.key_digest,
            order_id: purchase.telnyx_order_id(),
            phone_number_id: None,
        }
    }
}

/// What can be concluded from an account's saying that it does not have something.
pub enum Absence {
    /// There is none.
    Proven,
    /// Nothing: the key may be another account's.
    WrongKey,
    /// Nothing: the number may have been moved to the account of this name, whose key may be another account's.
    WrongKeyOf(String),
    /// Another account that the agency may buy in has the number, which names the purchase: it was moved.
    Moved(Box<(Account, Owned)>),
    /// Another account that the agency may buy in has the number, and it cannot be told for whom.
    Elsewhere(Box<(Account, Owned)>),
    /// Nothing for now: Telnyx, or a secret, could not be read.
    NotNow(Source),
}

impl Sagas {
    /// What to conclude after the account of `session` has said that it does not have what `trace` is about.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the database fails.
    pub async fn absence(&self, session: Session<'_>, trace: &Trace<'_>) -> Result<Absence, Error> {
        match self.answers_for(session, trace).await? {
            Ok(true) => self.elsewhere(session, trace).await,
            Ok(false) => Ok(Absence::WrongKey),
            Err(failure) => Ok(Absence::NotNow(failure.into_source())),
        }
    }

    /// Whether the key of `session` opens the account that `trace` is about. The inner failure is Telnyx's.
    async fn answers_for(&self, session: Session<'_>, trace: &Trace<'_>) -> Result<Result<bool, Failure>, Error> {
        if trace.key_digest == Some(session.account().key_digest()) {
            return Ok(Ok(true));
        }
        if let Some(order_id) = trace.order_id.and_then(usable_id) {
            match session.order(order_id).await {
                Ok(None) => {}
                answer => return Ok(answer.map(|order| order.is_some())),
            }
        }
        self.knows_a_witness(session, trace.account, trace.key_digest, trace.purchase_id).await
    }

    /// Whether the account of `session` is the one that `key_digest` has opened: it is asked with the same key, or knows what
    /// was bought there with that one. Where the key is not known, anything that was bought in the account will do.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the database fails. The inner failure is Telnyx's.
    pub async fn is_opened_by(&self, session: Session<'_>, key_digest: Option<KeyDigest>) -> Result<Result<bool, Failure>, Error> {
        let account = session.account();
        if key_digest == Some(account.key_digest()) {
            return Ok(Ok(true));
        }
        self.knows_a_witness(session, &account.name, key_digest, None).await
    }

    /// Whether the key of `session` knows another order or number of the ledger than those of a purchase.
    async fn knows_a_witness(
        &self,
        session: Session<'_>,
        account: &str,
        key_digest: Option<KeyDigest>,
        except: Option<Uuid>,
    ) -> Result<Result<bool, Failure>, Error> {
        Ok(knows_any(session, &self.store.witnesses(account, key_digest, except).await?).await)
    }

    /// Whether the account of `session` can have got a number that it does not show: its key knows nothing of what the ledger
    /// has in the account. Where the ledger has nothing, no key can be told from another.
    async fn is_in_doubt(&self, session: Session<'_>) -> Result<Result<bool, Failure>, Error> {
        let witnesses = self.store.witnesses(&session.account().name, None, None).await?;
        if witnesses.is_empty() {
            return Ok(Ok(false));
        }
        Ok(knows_any(session, &witnesses).await.map(|knows| !knows))
    }

    /// Looks for the number in the other accounts that its agency may buy in.
    async fn elsewhere(&self, session: Session<'_>, trace: &Trace<'_>) -> Result<Absence, Error> {
        let accounts = match self.accounts.all_of_agency(trace.agency_id).await {
            Ok(accounts) => accounts,
            Err(Error::TelnyxNotConfigured) => Vec::new(),
            Err(error) => return Ok(Absence::NotNow(error.to_string().into())),
        };
        for account in accounts {
            // Two names with one key are one account.
            if account.name == session.account().name || account.key_digest() == session.account().key_digest() {
                continue;
            }
            let other = self.telnyx.session(&account, session.deadline());
            match other.find_number(trace.number).await {
                Ok(None) => match self.is_in_doubt(other).await? {
                    Ok(false) => {}
                    Ok(true) => return Ok(Absence::WrongKeyOf(account.name)),
                    Err(failure) => return Ok(Absence::NotNow(failure.into_source())),
                },
                Ok(Some(owned)) if owned.customer_reference.as_deref().is_some_and(|named| trace.reference == Some(named)) => {
                    return Ok(if owned.is_active {
                        Absence::Moved(Box::new((account, owned)))
                    } else {
                        Absence::NotNow(format!("the account {} has the number, and not as an active one", account.name).into())
                    });
                }
                // A number that is only being bought there belongs to the purchase that buys it now.
                Ok(Some(owned)) if !owned.is_active || names_another(&owned, trace.purchase_id) => {}
                Ok(Some(_)) if self.store.is_bought_there(trace.number, &account.name, trace.purchase_id).await? => {}
                Ok(Some(owned)) => return Ok(Absence::Elsewhere(Box::new((account, owned)))),
                Err(failure) => return Ok(Absence::NotNow(failure.into_source())),
            }
        }
        Ok(Absence::Proven)
    }

    /// Tells operators that work on a number has to wait for them, and why. That this fails must not hide the reason.
    pub(super) async fn report(&self, observation: Observation) {
        let (kind, account, number) = (observation.kind.as_str(), observation.account.clone(), observation.number.clone());
        tracing::error!(kind, account, number, "{}", observation.detail);
        if let Err(error) = self.store.report(&[observation]).await {
            tracing::error!(error = %error, "a finding could not be written");
        }
    }

    /// Reports what an absence that is not proven needs an operator for, and returns the error that the caller is answered
    /// with. What is merely not known now needs no operator.
    pub async fn unproven(&self, session: Session<'_>, trace: &Trace<'_>, absence: Absence) -> Error {
        let account = trace.account;
        match absence {
            Absence::WrongKey => {
                let key_digest = Some(session.account().key_digest());
                self.report(Observation { key_digest, ..observation(FindingKind::KeyUnproven, trace) }).await;
                Error::Unavailable(format!("the key of the account {account} does not answer for what the ledger has there").into())
            }
            Absence::WrongKeyOf(name) => {
                let detail = "This number may have been moved to this account, whose API key answers for nothing that was bought there. \
                              It seems to be another account's: put the right key into the account's secret."
                    .to_owned();
                self.report(Observation { account: name.clone(), detail, ..observation(FindingKind::KeyUnproven, trace) }).await;
                Error::Unavailable(format!("the key of the account {name} does not answer for what the ledger has there").into())
            }
            Absence::Moved(found) => {
                self.report(moved(trace, &found)).await;
                Error::Unavailable(format!("the number was moved from the account {account} to {}", found.0.name).into())
            }
            Absence::Elsewhere(found) => {
                let detail = format!(
                    "The account {account}, in which this number was bought, does not have it; this account does, and does not say for \
                     whom. Find out at Telnyx whether it was moved. Adopt this finding to have the ledger follow it there."
                );
                self.report(Observation { detail, ..moved(trace, &found) }).await;
                Error::Unavailable(format!("the account {} has a number that was bought in {account}", found.0.name).into())
            }
            Absence::NotNow(source) => Error::Upstream(source),
            Absence::Proven => Error::Internal("a proven absence is no error".into()),
        }
    }
}

/// Whether the account of `session` has any of the orders and numbers. The inner failure is Telnyx's.
async fn knows_any(session: Session<'_>, witnesses: &[Witness]) -> Result<bool, Failure> {
    for witness in witnesses {
        let knows = match witness {
            Witness::Order(id) | Witness::Number(id) if usable_id(id).is_none() => false,
            Witness::Order(id) => session.order(id).await?.is_some(),
            Witness::Number(id) => session.number(id).await?.is_some(),
        };
        if knows {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A number that another account has than the one that it was bought in.
fn moved(trace: &Trace<'_>, (account, owned): &(Account, Owned)) -> Observation {
    Observation {
        account: account.name.clone(),
        phone_number_id: Some(owned.id.clone()),
        key_digest: Some(account.key_digest()),
        ..observation(FindingKind::NumberMoved, trace)
    }
}

/// Whether a number carries the reference of another purchase. A reference in another format proves nothing.
pub(super) fn names_another(owned: &Owned, purchase_id: Option<Uuid>) -> bool {
    let named = owned.customer_reference.as_deref().and_then(|reference| reference.parse::<Reference>().ok());
    named.is_some_and(|reference| Some(reference.purchase_id) != purchase_id)
}

/// What is found about a number, in the words of its kind.
pub(super) fn observation(kind: FindingKind, trace: &Trace<'_>) -> Observation {
    Observation {
        number: Some(trace.number.to_string()),
        phone_number_id: trace.phone_number_id.map(str::to_owned),
        reference: trace.reference.map(str::to_owned),
        agency_id: Some(trace.agency_id),
        row_ids: vec![trace.row_id],
        ..Observation::new(kind, trace.account)
    }
}
