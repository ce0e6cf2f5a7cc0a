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

/// What a user may do: a function asks for one of these before it does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Search for numbers on offer.
    Search,
    /// List the agency's numbers.
    List,
    /// Read numbers, with their history, and the agents that they could be assigned to.
    Read,
    /// Buy numbers.
    Purchase,
    /// Assign and unassign numbers, and change their settings.
    Change,
    /// Give numbers back to Telnyx, which cannot be undone.
    Release,
}

impl Permission {
    /// The roles that have it: the one place that says so.
    #[must_use]
    pub const fn roles(self) -> &'static [&'static str] {
        const OWNER: &str = Role::AgencyOwner.as_str();
        const ADMIN: &str = Role::AgencyAdmin.as_str();
        const MEMBER: &str = Role::AgencyMember.as_str();
        match self {
            Self::Search | Self::List | Self::Read => &[OWNER, ADMIN, MEMBER],
            Self::Purchase | Self::Change => &[OWNER, ADMIN],
            Self::Release => &[OWNER],
        }
    }
}

/// A user who has the permission that a request needs, and the agency that the request concerns.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The user: the token's `sub`.
    pub user_id: Uuid,
    /// The user's agency, as the platform's `users` table says at this moment.
    pub agency_id: Uuid,
}
