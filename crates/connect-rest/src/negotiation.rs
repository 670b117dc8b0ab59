//! Media types: what a client sends, and what it takes.

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether a content type is JSON, as JAX-RS compares it: parameters do not matter, `*` fits all.
pub(crate) fn is_json(content_type: &HeaderValue) -> bool {
    content_type.to_str().is_ok_and(fits_json)
}

/// Whether the client takes JSON. One that says nothing takes all.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let ranges = ranges
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges
        .filter(|range| fits_json(range))
        .any(|range| quality(range) > 0.0)
}

fn fits_json(range: &str) -> bool {
    let media_type = range.split(';').next().unwrap_or_default().trim();
    let (main, sub) = media_type.split_once('/').unwrap_or((media_type, "*"));
    let fits = |given: &str, wanted: &str| given == "*" || given.eq_ignore_ascii_case(wanted);
    fits(main.trim(), "application") && fits(sub.trim(), "json")
}

fn quality(range: &str) -> f32 {
    let parameters = range
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='));
    let quality = parameters
        .into_iter()
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    quality.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_many_spellings() {
        for (given, expected) in [
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
            assert_eq!(is_json(&HeaderValue::from_static(given)), expected, "{given}");
        }
    }

    #[test]
    fn a_client_takes_what_it_lists() {
        for (given, expected) in [
            (&[][..], true),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], true),
            (&["text/html", "application/json"], true),
            (&["text/html"], false),
            (&["application/json;q=0"], false),
            (&[""], false),
        ] {
            let headers = given
                .iter()
                .map(|value| (header::ACCEPT, HeaderValue::from_static(value)))
                .collect();
            assert_eq!(accepts_json(&headers), expected, "{given:?}");
        }
    }
}
