//! What scripts and containers give to Java: `KAFKA_OPTS`, of which the system properties mean something here, too.

use config_def::Props;

/// In the order in which Java reads them: the last counts.
const VARIABLES: [&str; 2] = ["JAVA_TOOL_OPTIONS", "KAFKA_OPTS"];

/// The properties that Java would be started with.
pub(crate) fn system_properties() -> Props {
    let options = VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    parse(&options.collect::<Vec<_>>().join(" "))
}

/// `-Dname=value`, divided as the shell divides what stands in a variable: at blanks, whatever the quotes.
fn parse(options: &str) -> Props {
    let defined = options
        .split_whitespace()
        .filter_map(|option| option.strip_prefix("-D"));
    defined
        .map(|property| property.split_once('=').unwrap_or((property, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_found_among_other_options() {
        let parsed = parse("-Xmx1g -Da=b=c  -Djava.security.auth.login.config=/x\n-Da=d -De --enable-preview");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("a", "d"),
            pair("e", ""),
            pair("java.security.auth.login.config", "/x"),
        ];
        assert_eq!(parsed, Props::from(expected));
    }
}
