//! Give the node programs of both chains the commands that are alike: their home, status, validate.

mod home;
mod status;
mod validate;

pub use home::home;
pub use status::status;
pub use validate::validate;
