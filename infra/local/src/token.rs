//! Tokens that the local gateway accepts, signed with a key that never leaves this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

use crate::workspace;

/// The issuer that stands in for the template's `JwtIssuer`.
pub const ISSUER: &str = "https://holdfast.local";
/// The audience that stands in for the template's `JwtAudience`.
pub const AUDIENCE: &str = "holdfast-local";

/// How long a token is good for unless the caller asks otherwise.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The key's length in bytes: that of the hash, as RFC 7518 asks for.
const KEY_BYTES: usize = 32;

/// Who a token speaks for and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The shop.
    pub tenant: String,
    /// The customer.
    pub sub: String,
    /// Rights, separated by spaces, such as `orders stock`.
    pub scope: String,
    /// Whether the person has no account.
    pub guest: bool,
}

/// A token for `claims` that is good for twelve hours.
///
/// # Errors
/// When the local key can neither be read nor made.
pub fn sign(claims: &Claims) -> anyhow::Result<String> {
    sign_for(claims, LIFETIME)
}

/// A token for `claims` that is good for `lifetime`.
///
/// # Errors
/// When the local key can neither be read nor made.
pub fn sign_for(claims: &Claims, lifetime: Duration) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut body = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + lifetime.as_secs(),
        "tenant": claims.tenant,
        "sub": claims.sub,
        "scope": claims.scope,
    });
    if claims.guest {
        body["guest"] = json!("true");
    }
    let key = EncodingKey::from_secret(&local_key(&key_path())?);
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &body, &key)?)
}

/// Checks tokens as the HTTP API's JWT authorizer does: signature, issuer, audience and time.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier with the local key.
    ///
    /// # Errors
    /// When the local key can neither be read nor made.
    pub fn new() -> anyhow::Result<Self> {
        let key = DecodingKey::from_secret(&local_key(&key_path())?);
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        Ok(Self { key, validation })
    }

    /// The claims of `token`, or `None` when it is not to be trusted.
    pub fn verify(&self, token: &str) -> Option<Map<String, Value>> {
        jsonwebtoken::decode(token, &self.key, &self.validation).ok().map(|verified| verified.claims)
    }
}

fn key_path() -> PathBuf {
    workspace::dev().join("jwt.key")
}

/// The key in `path`, which is made on first use and readable by its owner alone.
fn local_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || -> anyhow::Result<Vec<u8>> {
        let mut key = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut key))
            .with_context(|| format!("{} is not readable", workspace::shown(path)))?;
        anyhow::ensure!(
            key.len() == KEY_BYTES,
            "{} is damaged; delete it and run the command again",
            workspace::shown(path)
        );
        Ok(key)
    };
    if path.exists() {
        return read();
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // The whole key appears under its name at once, so that another process never reads half of one.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let key: [u8; KEY_BYTES] = rand::random();
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?.write_all(&key)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => read(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims { tenant: "acme".into(), sub: "c-1".into(), scope: "orders stock".into(), guest: true }
    }

    #[test]
    fn a_signed_token_verifies_with_its_claims() {
        let verified = Verifier::new().unwrap().verify(&sign(&claims()).unwrap()).unwrap();
        assert_eq!(verified["tenant"], "acme");
        assert_eq!(verified["scope"], "orders stock");
        assert_eq!(verified["guest"], "true");
    }

    #[test]
    fn an_altered_or_outlived_token_does_not_verify() {
        let verifier = Verifier::new().unwrap();
        let token = sign(&claims()).unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        assert!(verifier.verify(&format!("{head}.{first}{}", &signature[1..])).is_none());
        let outlived = sign_for(&claims(), Duration::ZERO).unwrap();
        std::thread::sleep(Duration::from_millis(1100));
        assert!(verifier.verify(&outlived).is_none());
        assert!(verifier.verify("").is_none());
    }
}
