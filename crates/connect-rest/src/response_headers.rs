//! `response.http.headers.config`: headers that every answer gets.

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use connect_runtime::config::{HeaderAction, HeaderRule};

/// Applies the rules in order. A rule that makes no header is passed over.
pub(crate) fn apply(rules: &[HeaderRule], headers: &mut HeaderMap) {
    for rule in rules {
        let value = match rule.action {
            HeaderAction::Set | HeaderAction::Add => Some(rule.value.clone()),
            HeaderAction::SetDate | HeaderAction::AddDate => date(&rule.value),
        };
        let name = HeaderName::from_bytes(rule.name.as_bytes());
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        let (Ok(name), Some(value)) = (name, value) else {
            continue;
        };
        match rule.action {
            HeaderAction::Set | HeaderAction::SetDate => drop(headers.insert(name, value)),
            HeaderAction::Add | HeaderAction::AddDate => drop(headers.append(name, value)),
        }
    }
}

/// Milliseconds of Unix time as HTTP writes dates.
fn date(millis: &str) -> Option<String> {
    let millis: u64 = millis.trim().parse().ok()?;
    let date = UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    // Beyond the year 9999 there is no such date.
    (millis < 253_402_300_800_000).then(|| httpdate::fmt_http_date(date))
}

#[cfg(test)]
mod tests {
    use connect_runtime::config::header_rules;

    use super::*;

    #[test]
    fn rules_set_add_and_date() {
        let rules =
            "set X-A: one, add X-A:two, setDate Expires: 0, addDate Expires: 1000, set X-Bad:\u{1}, setDate E: x";
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_static("before"));
        apply(&header_rules(rules).expect("rules"), &mut headers);
        let all = |name| {
            headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().expect("text"))
                .collect::<Vec<_>>()
        };
        assert_eq!(all("x-a"), ["one", "two"]);
        assert_eq!(
            all("expires"),
            ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"]
        );
        assert_eq!(headers.len(), 4);
    }
}
