//! Cross-origin requests: `access.control.allow.origin` and `access.control.allow.methods`.

use std::fmt;

use axum::http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use config_def::ConfigError;
use java_pattern::JavaPatterns;

const DEFAULT_METHODS: &str = "GET,POST,HEAD";
const ALLOWED_HEADERS: &str = "Content-Type";
/// Which headers a page may send without asking.
const SAFE_HEADERS: &[&str] = &["accept", "accept-language", "content-language", "content-type"];
const MAX_AGE: &str = "60";
/// Longer than any scheme, host and port. Answers about origins are remembered.
const MAX_ORIGIN: usize = 300;

/// Which pages of other origins may use the API.
pub(crate) struct Cors {
    /// `None`: every origin.
    origins: Option<JavaPatterns>,
    methods: String,
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

impl Cors {
    /// `origins` is a list of `*` or regular expressions, in which case does not matter. Blank: no such requests.
    pub(crate) fn parse(origins: &str, methods: &str) -> Result<Option<Self>, ConfigError> {
        if origins.trim().is_empty() {
            return Ok(None);
        }
        let patterns: Vec<&str> = origins
            .split(',')
            .map(str::trim)
            .filter(|pattern| !pattern.is_empty())
            .collect();
        let origins = if patterns.contains(&"*") {
            None
        } else {
            let patterns: Vec<String> = patterns.iter().map(|pattern| format!("(?i){pattern}")).collect();
            let compiled = JavaPatterns::new(&patterns);
            Some(compiled.map_err(|error| ConfigError::invalid("access.control.allow.origin", origins, error))?)
        };
        let methods: Vec<&str> = methods
            .split(',')
            .map(str::trim)
            .filter(|method| !method.is_empty())
            .collect();
        let methods = if methods.is_empty() {
            DEFAULT_METHODS.to_owned()
        } else {
            methods.join(",")
        };
        HeaderValue::from_str(&methods)
            .map_err(|error| ConfigError::invalid("access.control.allow.methods", &methods, error))?;
        Ok(Some(Self { origins, methods }))
    }

    /// What the answer to a request with these headers says about origins. The request is served in any case: a
    /// browser is who obeys.
    pub(crate) fn apply(&self, method: &Method, request: &HeaderMap, answer: &mut HeaderMap) {
        answer.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request.get(ORIGIN) else { return };
        if !self.allows(origin) {
            return;
        }
        let asked_method = request
            .get(ACCESS_CONTROL_REQUEST_METHOD)
            .filter(|_| method == Method::OPTIONS);
        if let Some(asked_method) = asked_method {
            let is_allowed = self.methods.split(',').any(|method| asked_method == method);
            if !is_allowed || !asks_for_known_headers(request) {
                return;
            }
            let methods = HeaderValue::from_str(&self.methods).expect("it was read as one");
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
            answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Some(origin) = origin.to_str().ok().filter(|origin| origin.len() <= MAX_ORIGIN) else {
            return false;
        };
        self.origins.as_ref().is_none_or(|patterns| patterns.matches(origin))
    }
}

fn asks_for_known_headers(request: &HeaderMap) -> bool {
    let asked = request
        .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .filter_map(|value| value.to_str().ok());
    asked
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .all(|name| name.is_empty() || SAFE_HEADERS.contains(&&*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
            .collect()
    }

    #[track_caller]
    fn check(
        cors: &Cors,
        method: &Method,
        request: &[(&'static str, &'static str)],
        expected: &[(&'static str, &'static str)],
    ) {
        let mut answer = HeaderMap::new();
        cors.apply(method, &headers(request), &mut answer);
        let mut all = vec![("vary", "Origin")];
        all.extend_from_slice(expected);
        assert_eq!(answer, headers(&all));
    }

    #[test]
    fn origins_are_patterns_whatever_their_case() {
        let cors = Cors::parse("http://.*\\.example\\.com, HTTPS://exact:1", "")
            .expect("good")
            .expect("some");
        let allowed = |origin| [("access-control-allow-origin", origin)];
        check(
            &cors,
            &Method::GET,
            &[("origin", "http://A.Example.com")],
            &allowed("http://A.Example.com"),
        );
        check(
            &cors,
            &Method::GET,
            &[("origin", "https://exact:1")],
            &allowed("https://exact:1"),
        );
        check(&cors, &Method::GET, &[("origin", "http://example.org")], &[]);
        check(&cors, &Method::GET, &[], &[]);
        let all = Cors::parse("http://x,*", "").expect("good").expect("some");
        check(&all, &Method::GET, &[("origin", "null")], &allowed("null"));
        assert!(Cors::parse(" ", "GET").expect("good").is_none());
    }

    #[test]
    fn a_page_that_asks_is_told_what_it_may_do() {
        let cors = Cors::parse("*", "GET, PUT").expect("good").expect("some");
        let ask = |method, names| {
            [
                ("origin", "http://a"),
                ("access-control-request-method", method),
                ("access-control-request-headers", names),
            ]
        };
        let told = [
            ("access-control-allow-methods", "GET,PUT"),
            ("access-control-allow-headers", "Content-Type"),
            ("access-control-max-age", "60"),
            ("access-control-allow-origin", "http://a"),
        ];
        check(&cors, &Method::OPTIONS, &ask("PUT", "content-type, Accept"), &told);
        check(&cors, &Method::OPTIONS, &ask("DELETE", ""), &[]);
        check(&cors, &Method::OPTIONS, &ask("PUT", "x-mine"), &[]);
        check(&cors, &Method::GET, &ask("PUT", ""), &told[3..]);
    }
}
