//! Who the caller claims to be.
