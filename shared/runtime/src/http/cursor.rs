//! Opaque, signed cursors: a page's position, of use only to the caller and the list it was made for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How many bytes of the signature a cursor carries.
const SIGNATURE_BYTES: usize = 16;

/// Signs and reads cursors.
#[derive(Clone)]
pub struct CursorKey(Vec<u8>);

impl CursorKey {
    /// A key; any secret of some length.
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().to_vec())
    }

    /// A cursor for `position` within `list`, which names the tenant, the owner and the filters of the list.
    pub fn seal(&self, list: &str, position: &str) -> String {
        let mut bytes = self.signature(list, position);
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position in a cursor that was made for `list`.
    ///
    /// # Errors
    /// Words for the caller when the cursor was not made by [`CursorKey::seal`] for this list.
    pub fn open(&self, list: &str, cursor: &str) -> Result<String, String> {
        let refused = || "must be a next_cursor of the same list with the same filters".to_owned();
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let (signature, position) = bytes.split_at_checked(SIGNATURE_BYTES).ok_or_else(refused)?;
        let position = std::str::from_utf8(position).map_err(|_| refused())?;
        let verified = self.mac(list, position).verify_truncated_left(signature);
        verified.map(|()| position.to_owned()).map_err(|_| refused())
    }

    fn signature(&self, list: &str, position: &str) -> Vec<u8> {
        self.mac(list, position).finalize().into_bytes()[..SIGNATURE_BYTES].to_vec()
    }

    fn mac(&self, list: &str, position: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length (RFC 2104)");
        for part in [list, position] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_for_its_list_only() {
        let key = CursorKey::new("secret");
        let cursor = key.seal("acme/c-1", "0001700000000000#x");
        assert_eq!(key.open("acme/c-1", &cursor).unwrap(), "0001700000000000#x");
        assert!(key.open("acme/c-2", &cursor).is_err());
        assert!(CursorKey::new("other").open("acme/c-1", &cursor).is_err());
    }

    #[test]
    fn a_forged_or_cut_cursor_is_refused() {
        let key = CursorKey::new("secret");
        let cursor = key.seal("l", "0001700000000000#x");
        for length in 0..cursor.len() {
            assert!(key.open("l", &cursor[..length]).is_err());
        }
        assert!(key.open("l", "%%%").is_err());
        assert!(key.open("l", &URL_SAFE_NO_PAD.encode("0001700000000000#x")).is_err());
    }
}
