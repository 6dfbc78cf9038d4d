//! Recordings as a form, `multipart/form-data` (RFC 7578).

use super::client::Content;
use super::error::CtlError;
use std::path::PathBuf;

/// A form with the recordings in `files` and a consent reference.
pub(super) fn recordings(files: &[PathBuf], consent: Option<&str>) -> Result<Content, CtlError> {
    let mut parts = Vec::new();
    if let Some(consent) = consent {
        parts.push(("name=\"consent\"".to_owned(), consent.as_bytes().to_vec()));
    }
    for path in files {
        let bytes = std::fs::read(path).map_err(|source| CtlError::File { path: path.clone(), source })?;
        // The daemon names recordings by their number; the name of a file is nobody's business.
        parts.push(("name=\"recording\"; filename=\"recording\"".to_owned(), bytes));
    }
    Ok(form(&parts))
}

fn form(parts: &[(String, Vec<u8>)]) -> Content {
    let boundary = boundary(parts);
    let mut body = Vec::new();
    for (disposition, bytes) in parts {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Content::new(format!("multipart/form-data; boundary={boundary}"), body)
}

/// A line that none of the parts contains.
fn boundary(parts: &[(String, Vec<u8>)]) -> String {
    let within = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let mut candidates = (0u32..).map(|number| format!("vouch-part-{number}"));
    candidates
        .find(|text| !parts.iter().any(|(_, bytes)| within(bytes, text)))
        .expect("finite parts cannot contain all of the numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_in_no_part() {
        let parts =
            [("a".to_owned(), b"..vouch-part-0..vouch-part-1".to_vec()), ("b".to_owned(), Vec::new())];
        assert_eq!(boundary(&parts), "vouch-part-2");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = recordings(&["/nonexistent/a.wav".into()], None).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/a.wav: No such file"), "{error}");
    }
}
