//! Capsule fragments of the proxies: asked for one by one, each verified as it arrives, each failure blamed.

use std::fmt;
use std::time::Duration;

use caduceus_client::{ClientError, purpose_commitment};
use caduceus_crypto::keys::PublicKey;
use caduceus_custody::shared::fragment_is_valid;
use caduceus_network_reply::Reencrypted;

use crate::session::{DataUser, Ticket};
