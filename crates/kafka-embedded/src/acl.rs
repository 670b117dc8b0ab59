//! Access control entries: stored and listed as an authorizer would, never enforced.

/// One entry, or a filter for entries; numbers as in the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acl<S> {
    pub(crate) resource_type: i8,
    pub(crate) resource_name: S,
    pub(crate) pattern_type: i8,
    pub(crate) principal: S,
    pub(crate) host: S,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

pub(crate) type AclEntry = Acl<String>;
pub(crate) type AclFilter = Acl<Option<String>>;

#[derive(Debug, Default)]
pub(crate) struct Acls(Vec<AclEntry>);

const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const WILDCARD: &str = "*";

impl Acls {
    pub(crate) fn add(&mut self, entry: AclEntry) {
        if !self.0.contains(&entry) {
            self.0.push(entry);
        }
    }

    pub(crate) fn matching(&self, filter: &AclFilter) -> Vec<AclEntry> {
        self.0.iter().filter(|entry| filter.matches(entry)).cloned().collect()
    }

    pub(crate) fn delete(&mut self, filter: &AclFilter) -> Vec<AclEntry> {
        let (deleted, kept) = self.0.drain(..).partition(|entry| filter.matches(entry));
        self.0 = kept;
        deleted
    }
}

impl AclFilter {
    fn matches(&self, entry: &AclEntry) -> bool {
        let number = |filter: i8, value: i8| filter == ANY || filter == value;
        let text = |filter: &Option<String>, value: &str| filter.as_deref().is_none_or(|wanted| wanted == value);
        number(self.resource_type, entry.resource_type)
            && number(self.operation, entry.operation)
            && number(self.permission, entry.permission)
            && text(&self.principal, &entry.principal)
            && text(&self.host, &entry.host)
            && self.matches_name(entry)
    }

    /// `MATCH` finds every entry that applies to the name; the others compare patterns as they are written.
    fn matches_name(&self, entry: &AclEntry) -> bool {
        let Some(name) = &self.resource_name else {
            return [ANY, MATCH, entry.pattern_type].contains(&self.pattern_type);
        };
        match self.pattern_type {
            MATCH => match entry.pattern_type {
                LITERAL => *name == entry.resource_name || entry.resource_name == WILDCARD,
                PREFIXED => name.starts_with(&entry.resource_name),
                _ => false,
            },
            pattern => [ANY, entry.pattern_type].contains(&pattern) && *name == entry.resource_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, pattern_type: i8) -> AclEntry {
        Acl {
            resource_type: 2,
            resource_name: name.to_owned(),
            pattern_type,
            principal: "User:a".to_owned(),
            host: "*".to_owned(),
            operation: 3,
            permission: 3,
        }
    }

    fn filter(name: Option<&str>, pattern_type: i8) -> AclFilter {
        Acl {
            resource_type: ANY,
            resource_name: name.map(str::to_owned),
            pattern_type,
            principal: None,
            host: None,
            operation: ANY,
            permission: ANY,
        }
    }

    #[test]
    fn filters_find_entries_as_kafkas_do() {
        let mut acls = Acls::default();
        for (name, pattern_type) in [
            ("orders", LITERAL),
            ("ord", PREFIXED),
            ("*", LITERAL),
            ("other", LITERAL),
        ] {
            acls.add(entry(name, pattern_type));
        }
        let found = |name, pattern_type| acls.matching(&filter(name, pattern_type)).len();
        assert_eq!(found(None, ANY), 4);
        assert_eq!(found(None, PREFIXED), 1);
        assert_eq!(found(Some("orders"), LITERAL), 1);
        assert_eq!(found(Some("orders"), MATCH), 3);
        assert_eq!(found(Some("ord"), ANY), 1);
    }
}
