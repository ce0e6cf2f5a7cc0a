//! Tokens such as Supabase issues, signed with a shared secret.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

/// Who tokens are for.
pub const AUDIENCE: &str = "authenticated";
/// How long a demo user's token is good.
pub const LIFETIME: Duration = Duration::from_hours(12);

/// Issues tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The key, as text.
    pub secret: String,
    /// The claim `iss`.
    pub issuer: String,
}

impl Default for Issuer {
    /// With a secret of its own.
    fn default() -> Self {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self::new(secret)
    }
}

impl Issuer {
    /// With a given secret, and the issuer of this machine's stack.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self { secret, issuer: "http://127.0.0.1/auth/v1".to_owned() }
    }

    /// A token for a user, good for [`LIFETIME`].
    #[must_use]
    pub fn token(&self, user: Uuid, email: &str) -> String {
        self.sign(&self.claims(user, email))
    }

    /// What such a token says.
    #[must_use]
    pub fn claims(&self, user: Uuid, email: &str) -> Value {
        let now = Utc::now().timestamp();
        json!({
            "sub": user,
            "aud": AUDIENCE,
            "iss": self.issuer,
            "role": AUDIENCE,
            "email": email,
            "iat": now,
            "exp": now.saturating_add_unsigned(LIFETIME.as_secs()),
        })
    }

    /// A token with any claims, signed with HS256.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "HS256", "typ": "JWT"}), claims)
    }

    /// A token with any header and claims, signed with HS256.
    #[must_use]
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_signature_is_the_standards() {
        // Made with another library.
        let issuer = Issuer::new("secret".to_owned());
        let token = issuer.sign(&json!({"sub": "1"}));
        let expected = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.8qZF8vbN3UpcanXFc-mPXJkOPN01-bRch8XX3rToP1U";
        assert_eq!(token, expected);
    }

    #[test]
    fn a_token_says_who_and_until_when() {
        let user = Uuid::from_u128(7);
        let claims = Issuer::default().claims(user, "a@b.example");
        assert_eq!(claims["sub"], user.to_string());
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 12 * 60 * 60);
    }
}
