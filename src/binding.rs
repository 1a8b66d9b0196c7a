//! Node-API: translation only.
