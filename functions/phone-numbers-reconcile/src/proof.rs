//! Whose key it is that an account is asked with. Before anything is concluded from what an account does not have, it has to
//! prove that it is the account that the ledger means: the key may be another one's by now.

use shared::error::Error;
use shared::store::Belonging;

use crate::walker::Walker;

/// How many of an account's belongings are asked for at most.
const ASKED_FOR: i64 = 5;

/// What is known of whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The account knows an order, or a number by its id, that the ledger has in it.
    Given,
    /// It knows none of those that it was asked for.
    Missing,
    /// It could not be asked.
    Unknown,
}

impl Walker<'_> {
    /// Whether the key that the account is asked with is the account's. It is asked for once a walk.
    pub(crate) async fn proof(&mut self) -> Result<Proof, Error> {
        if let Some(proof) = self.proof {
            return Ok(proof);
        }
        let belongings = self.reconcile.sagas.store.belongings(&self.walk.account, ASKED_FOR).await;
        let belongings = self.reconcile.pass_over(self.report, belongings).await?;
        let proof = match belongings {
            Some(belongings) => self.ask_for(&belongings).await,
            None => Proof::Unknown,
        };
        Ok(*self.proof.insert(proof))
    }

    async fn ask_for(&self, belongings: &[Belonging]) -> Proof {
        let mut proof = Proof::Missing;
        for belonging in belongings {
            let order = match &belonging.order_id {
                Some(id) => self.session.order(id).await.map(|order| order.is_some()),
                None => Ok(false),
            };
            let number = match (&order, &belonging.phone_number_id) {
                (Ok(false), Some(id)) => self.session.number(id).await.map(|number| number.is_some()),
                _ => Ok(false),
            };
            match (order, number) {
                (Ok(true), _) | (_, Ok(true)) => return Proof::Given,
                (Ok(false), Ok(false)) => {}
                (Err(_), _) | (_, Err(_)) => proof = Proof::Unknown,
            }
        }
        proof
    }

    /// Whether a number is gone: the account has none of this id, and is the account that the ledger means.
    pub(crate) async fn is_gone(&mut self, phone_number_id: &str) -> Result<bool, Error> {
        Ok(matches!(self.session.number(phone_number_id).await, Ok(None)) && self.proof().await? == Proof::Given)
    }
}
