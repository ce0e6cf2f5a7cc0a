//! Who may do what: roles, permissions, and the user who makes a request.

use uuid::Uuid;

use super::words;

words! {
    /// What a user is in the platform: enum `user_role`.
    Role {
        /// Owns an agency.
        AgencyOwner = "agency_owner",
        /// Manages an agency.
        AgencyAdmin = "agency_admin",
        /// Works in an agency.
        AgencyMember = "agency_member",
        /// Manages a client of an agency.
        ClientAdmin = "client_admin",
        /// Looks on for a client of an agency.
        ClientViewer = "client_viewer",
        /// Runs the platform.
        Admin = "admin",
    }
}

/// What a caller may do; each function asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Look at numbers: search, list, read one.
    Read,
    /// Buy, assign, change settings, unassign.
    Manage,
    /// Give numbers back: it cannot be undone.
    Release,
}

impl Permission {
    /// The roles that have it.
    #[must_use]
    pub const fn roles(self) -> &'static [&'static str] {
        const OWNER: &str = Role::AgencyOwner.as_str();
        const ADMIN: &str = Role::AgencyAdmin.as_str();
        const MEMBER: &str = Role::AgencyMember.as_str();
        match self {
            Self::Read => &[OWNER, ADMIN, MEMBER],
            Self::Manage => &[OWNER, ADMIN],
            Self::Release => &[OWNER],
        }
    }
}

/// Somebody who may do what they ask for, and the agency they may do it in.
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
    fn only_an_owner_may_release() {
        assert_eq!(Permission::Release.roles(), ["agency_owner"]);
        assert!(!Permission::Manage.roles().contains(&"agency_member"));
        assert!(Permission::Read.roles().contains(&"agency_member"));
        assert!(!Permission::Read.roles().contains(&"admin"));
    }
}
