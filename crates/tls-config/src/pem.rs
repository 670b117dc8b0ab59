//! PEM as it stands in people's files: with text around it, with or without line breaks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// One `-----BEGIN label-----` … `-----END label-----`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) label: String,
    pub(crate) der: Vec<u8>,
}

/// All sections, in their order. What is outside them is not looked at.
pub(crate) fn sections(text: &str) -> Result<Vec<Section>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or("a PEM header is not closed")?;
        let label = label.trim();
        let end = "-----END ";
        let (body, after) = after
            .split_once(end)
            .ok_or_else(|| format!("PEM section {label} has no end"))?;
        rest = after;
        if body.contains("Proc-Type:") {
            return Err(format!(
                "PEM section {label} is encrypted in OpenSSL's old way; convert it with `openssl pkcs8 -topk8 -v2 aes256`"
            ));
        }
        let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        let der = BASE64_STANDARD
            .decode(body)
            .map_err(|_| format!("PEM section {label} is no base64"))?;
        found.push(Section {
            label: label.to_owned(),
            der,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_are_found_however_they_are_laid_out() {
        let expected = [("A B", b"abc".to_vec()), ("C", b"defg".to_vec())];
        for text in [
            "Bag Attributes\n-----BEGIN A B-----\nYW\nJj\n-----END A B-----\nx\n-----BEGIN C-----\nZGVmZw==\n-----END C-----\n",
            "-----BEGIN A B-----YWJj-----END A B----------BEGIN C-----ZGVmZw==-----END C-----",
            "-----BEGIN A B----- YW Jj -----END A B----- -----BEGIN C-----\r\n ZGVmZw== \r\n-----END C-----",
        ] {
            let found = sections(text).expect("it is PEM");
            let found: Vec<_> = found.iter().map(|s| (s.label.as_str(), s.der.clone())).collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(sections("nothing").expect("no section"), []);
        assert!(sections("-----BEGIN C-----\nZGVmZw").is_err());
        assert!(sections("-----BEGIN C-----\n!\n-----END C-----").is_err());
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert!(sections(old).is_err_and(|error| error.contains("openssl pkcs8")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(-----BEGIN |-----END |-----|A|=|é|\n){0,12}") {
            let _ = sections(&text);
        }
    }
}
