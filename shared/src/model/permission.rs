//! Who may do what: roles, permissions, and the user who makes a request.

use uuid::Uuid;

use super::words;

words! {
    /// A user's role in the platform: enum `user_role`. Only the three roles within an agency have permissions here.
    Role {
        /// Owns an agency.
        AgencyOwner = "agency_owner",
        /// Manages an agency.
        AgencyAdmin = "agency_admin",
        /// Works in an agency.
        AgencyMember = "agency_member",
        /// Manages a client of an agency.
        ClientAdmin = "client_admin",
        /// Views what belongs to a client of an agency.
        ClientViewer = "client_viewer",
        /// Administers the platform.
        Admin = "admin",
    }
}

use Role::{AgencyAdmin as ADMIN, AgencyMember as MEMBER, AgencyOwner as OWNER};

/// For each function and method, the roles that may use it. Every check of a permission is made from this table.
pub const PERMISSIONS: &[(&str, &str, &[Role])] = &[
    ("phone-numbers-search", "GET", &[OWNER, ADMIN, MEMBER]),
    ("phone-numbers-list", "GET", &[OWNER, ADMIN, MEMBER]),
    ("phone-numbers-assign", "GET", &[OWNER, ADMIN, MEMBER]),
    ("phone-numbers-purchase", "POST", &[OWNER, ADMIN]),
    ("phone-numbers-assign", "POST", &[OWNER, ADMIN]),
    ("phone-numbers-assign", "PATCH", &[OWNER, ADMIN]),
    ("phone-numbers-assign", "DELETE", &[OWNER, ADMIN]),
    ("phone-numbers-release", "POST", &[OWNER]),
];

/// The roles that may use a function with a method. No role may make a request that [`PERMISSIONS`] does not list.
#[must_use]
pub fn permitted_roles(function: &str, method: &str) -> &'static [Role] {
    PERMISSIONS.iter().find(|(known, with, _)| (*known, *with) == (function, method)).map_or(&[], |(_, _, roles)| roles)
}

/// A user who makes a request, and the roles that may make it. Whether the user has one of them, the database decides.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The user: the token's `sub`.
    pub user_id: Uuid,
    /// The roles that may make the request.
    pub roles: &'static [Role],
}

impl Caller {
    /// The caller of a function with a method.
    #[must_use]
    pub fn new(user_id: Uuid, function: &str, method: &str) -> Self {
        Self { user_id, roles: permitted_roles(function, method) }
    }
}

/// A user who may make the request, and the agency that it concerns.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The user: the token's `sub`.
    pub user_id: Uuid,
    /// The user's agency, as the platform's `users` table says at this moment.
    pub agency_id: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_the_table_does_not_list_is_permitted_to_nobody() {
        for (function, method) in [("phone-numbers-release", "GET"), ("phone-numbers-search", "get"), ("phone-numbers-reconcile", "POST")] {
            assert!(Caller::new(Uuid::nil(), function, method).roles.is_empty(), "{method} {function}");
        }
        assert_eq!(Caller::new(Uuid::nil(), "phone-numbers-release", "POST").roles, [OWNER]);
    }
}
