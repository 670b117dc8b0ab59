//! Media types: what a client sends, and what it takes.

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether a content type is JSON; its parameters do not matter.
pub(crate) fn is_json(content_type: &HeaderValue) -> bool {
    content_type
        .to_str()
        .is_ok_and(|given| media_type(given).eq_ignore_ascii_case("application/json"))
}

/// Whether a content type could be JSON, which is all that matters where no body is read.
pub(crate) fn fits_json(content_type: &HeaderValue) -> bool {
    content_type.to_str().is_ok_and(is_range_of_json)
}

/// Whether the client takes JSON. One that says nothing takes all; how gladly it takes it does not matter, as in JAX-RS.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    let ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut ranges = ranges
        .flat_map(|value| value.split(','))
        .filter(|range| !range.trim().is_empty())
        .peekable();
    ranges.peek().is_none() || ranges.any(is_range_of_json)
}

fn is_range_of_json(range: &str) -> bool {
    let media_type = media_type(range);
    let (main, sub) = media_type.split_once('/').unwrap_or((media_type, "*"));
    let fits = |given: &str, wanted: &str| given == "*" || given.eq_ignore_ascii_case(wanted);
    fits(main.trim(), "application") && fits(sub.trim(), "json")
}

fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_many_spellings() {
        for (given, fits) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/*", true),
            ("*/*", true),
            ("*", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/vnd.api+json", false),
            ("json", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(given);
            assert_eq!(fits_json(&value), fits, "{given}");
            assert_eq!(is_json(&value), fits && !given.contains('*'), "{given}");
        }
    }

    #[test]
    fn a_client_takes_what_it_lists() {
        for (given, expected) in [
            (&[][..], true),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], true),
            (&["text/html", "application/json"], true),
            (&["text/html"], false),
            (&["application/json;q=0"], true),
            (&[""], true),
            (&[";"], false),
        ] {
            let headers = given
                .iter()
                .map(|value| (header::ACCEPT, HeaderValue::from_static(value)))
                .collect();
            assert_eq!(accepts_json(&headers), expected, "{given:?}");
        }
    }
}
