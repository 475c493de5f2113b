//! Text that people wrote, kept as they wrote it.

use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};

/// Checks text of 1 to `max` characters (Unicode scalar values): any script, unchanged, but no control characters.
///
/// # Errors
/// Names `field` when the text is empty, too long, or holds a control character (Unicode category Cc) or one of the
/// line and paragraph separators and bidirectional overrides that forge what a label shows (Unicode TR 36).
pub fn checked(field: &str, max: usize, text: String) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    optional(field, max, text)
}

/// As [`checked`], but the text may be empty.
///
/// # Errors
/// As [`checked`].
pub fn optional(field: &str, max: usize, text: String) -> Result<String, Invalid> {
    if text.chars().count() > max {
        return Err(Invalid::new(field, format!("must be at most {max} characters")));
    }
    clean(field, &text, is_refused)?;
    Ok(text)
}

/// As [`optional`], but with line breaks and tabs: a description in paragraphs.
///
/// # Errors
/// As [`checked`].
pub fn prose(field: &str, max: usize, text: String) -> Result<String, Invalid> {
    clean(field, &text, |c| is_refused(c) && !matches!(c, '\n' | '\t'))?;
    match text.chars().count() > max {
        true => Err(Invalid::new(field, format!("must be at most {max} characters"))),
        false => Ok(text),
    }
}

fn clean(field: &str, text: &str, refused: impl Fn(char) -> bool) -> Result<(), Invalid> {
    match text.chars().find(|c| refused(*c)) {
        Some(c) => Err(Invalid::new(field, format!("must not hold the control character U+{:04X}", c as u32))),
        None => Ok(()),
    }
}

fn is_refused(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// An ISO 3166-1 alpha-2 country code, two capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country(String);

impl Country {
    /// Reads a code by its form; which codes a shop ships to is its own affair.
    ///
    /// # Errors
    /// When the text is not two capital ASCII letters.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        match text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            true => Ok(Self(text)),
            false => Err(Invalid::new("country", "must be an ISO 3166-1 alpha-2 code such as DE")),
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Country {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl From<Country> for String {
    fn from(country: Country) -> String {
        country.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ord_11_any_script_survives_unchanged() {
        for name in ["Ngũgĩ wa Thiong'o", "李小龍", "محمد", "Ὀδυσσεύς", "Zoë 🎈", "न\u{200D}ी", "e\u{301}"]
        {
            assert_eq!(checked("name", 200, name.to_owned()).unwrap(), name);
        }
    }

    #[test]
    fn ord_11_control_characters_are_refused_by_name() {
        for (text, code) in [("a\0b", "U+0000"), ("a\nb", "U+000A"), ("a\u{7f}", "U+007F"), ("a\u{202E}b", "U+202E")] {
            let problem = checked("name", 200, text.to_owned()).unwrap_err();
            assert_eq!(problem.field, "name");
            assert!(problem.problem.contains(code), "{problem}");
        }
        assert!(checked("name", 3, "    ".to_owned()).is_err());
        assert!(checked("name", 3, "李小龍生".to_owned()).is_err());
    }
}
