use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::{
    ConfigError, ConfigErrors, ConfigKey, DefaultValue, Password, Props, Validator, Value, convert::parse_type, nearest,
};

/// The table of all keys of one thing: a connector, a worker, a client (`org.apache.kafka.common.config.ConfigDef`).
///
/// ```
/// use config_def::{ConfigDef, Importance, Props, Type, key};
///
/// static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
///     key("tasks.max", Type::Int).default("1").importance(Importance::High).doc("At most so many tasks."),
/// ]]);
/// let values = CONFIG_DEF.parse(&Props::from([("tasks.max".to_owned(), " 4 ".to_owned())])).unwrap();
/// assert_eq!(values.int("tasks.max"), 4);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ConfigDef {
    sections: &'static [&'static [ConfigKey]],
}

/// What [`ConfigDef::validate`] says of one key (`ConfigValue`).
#[derive(Clone, Debug)]
pub struct ConfigValue {
    /// The row of the table.
    pub key: &'static ConfigKey,
    /// The value, `Null` if there is none or it could not be read.
    pub value: Value,
    /// What is wrong, in Kafka's words.
    pub errors: Vec<String>,
}

impl ConfigDef {
    /// A table made of sections, so that tables can share keys.
    pub const fn new(sections: &'static [&'static [ConfigKey]]) -> Self {
        Self { sections }
    }

    /// Every key, section by section.
    pub fn keys(&self) -> impl Iterator<Item = &'static ConfigKey> + use<> {
        self.sections.iter().flat_map(|section| section.iter())
    }

    /// The row of `name`.
    pub fn key(&self, name: &str) -> Option<&'static ConfigKey> {
        self.keys().find(|key| key.name == name)
    }

    /// The key that an unknown `name` was most likely meant to be.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.keys().map(|key| key.name))
    }

    /// Reads every key of the table, or says everything that is wrong. Other keys are not looked at.
    pub fn parse(&self, props: &Props) -> Result<Values, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut values = HashMap::new();
        for key in self.keys() {
            if let Some(value) = errors.collect(parse_key(key, props)) {
                values.insert(key.name, value);
            }
        }
        errors.into_result(Values { values })
    }

    /// Like `parse`, for showing: each key with its value and its own errors, as `PUT …/config/validate` answers. A value
    /// that cannot be read is then judged as if it were absent, which can add a second error, and repeats in a list are
    /// an error here; both as in Kafka.
    pub fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        self.keys()
            .map(|key| {
                let mut errors = ConfigErrors::default();
                let value = errors.collect(read_key(key, props)).unwrap_or(Value::Null);
                errors.collect(key.validator.check(key.name, &value));
                ConfigValue {
                    key,
                    value,
                    errors: errors.0.into_iter().map(|error| error.message).collect(),
                }
            })
            .collect()
    }

    /// What is wrong with the table itself: for a test beside each table.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut seen: HashMap<&str, ()> = HashMap::new();
        for key in self.keys() {
            if seen.insert(key.name, ()).is_some() {
                faults.push(format!("{} is listed twice", key.name));
            }
            if key.doc.is_empty() {
                faults.push(format!("{} has no doc", key.name));
            }
            if !key.is_required()
                && let Err(error) = parse_key(key, &Props::new())
            {
                faults.push(format!("the default does not pass: {error}"));
            }
            if (key.order < 0) != key.group.is_none() {
                faults.push(format!("{} needs a group and a place in it, or neither", key.name));
            }
        }
        faults
    }
}

/// The value of `key` before it is judged.
fn read_key(key: &ConfigKey, props: &Props) -> Result<Value, ConfigError> {
    match (props.get(key.name), key.default) {
        (Some(text), _) => parse_type(key, key.name, text),
        (None, DefaultValue::Text(text)) => parse_type(key, key.name, text),
        (None, DefaultValue::Null) => Ok(Value::Null),
        (None, DefaultValue::Required) => Err(ConfigError::missing(key.name)),
    }
}

fn parse_key(key: &ConfigKey, props: &Props) -> Result<Value, ConfigError> {
    let mut value = read_key(key, props)?;
    if let (Validator::List { .. }, Value::List(elements)) = (key.validator, &mut value) {
        let mut seen = HashSet::with_capacity(elements.len());
        elements.retain(|element| seen.insert(element.clone()));
    }
    key.validator.check(key.name, &value)?;
    Ok(value)
}

/// Typed values of a whole table. The getters panic if the table has no such key of that type: a fault of ours, which the
/// first test finds, never of a user.
#[derive(Clone, Debug)]
pub struct Values {
    values: HashMap<&'static str, Value>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $optional:ident: $variant:ident -> $type:ty, $read:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(&self, name: &str) -> $type {
            self.$optional(name).unwrap_or_else(|| panic!("{name} has a default or is required"))
        }

        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), "), or `None` if there is no value.")]
        pub fn $optional(&self, name: &str) -> Option<$type> {
            match self.get(name) {
                Value::Null => None,
                Value::$variant(value) => Some($read(value)),
                other => panic!("{name} is another type: {other:?}"),
            }
        }
    )* };
}

impl Values {
    /// The value of a key of the table.
    pub fn get(&self, name: &str) -> &Value {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("{name} is in the table"))
    }

    getters! {
        /// A text.
        string, opt_string: String -> &str, String::as_str;
        /// A 32-bit integer.
        int, opt_int: Int -> i32, |n: &i32| *n;
        /// A 64-bit integer.
        long, opt_long: Long -> i64, |n: &i64| *n;
        /// A 16-bit integer.
        short, opt_short: Short -> i16, |n: &i16| *n;
        /// A floating point number.
        double, opt_double: Double -> f64, |n: &f64| *n;
        /// A yes or no.
        boolean, opt_boolean: Boolean -> bool, |b: &bool| *b;
        /// A list.
        list, opt_list: List -> &[String], Vec::as_slice;
        /// A class name.
        class, opt_class: Class -> &str, String::as_str;
        /// A secret.
        password, opt_password: Password -> &Password, std::convert::identity;
    }

    /// A time in milliseconds; a negative one is zero.
    pub fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.whole_number(name))
    }

    /// A time in seconds; a negative one is zero.
    pub fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.whole_number(name))
    }

    fn whole_number(&self, name: &str) -> u64 {
        match self.get(name) {
            Value::Int(n) => u64::try_from(*n).unwrap_or(0),
            Value::Long(n) => u64::try_from(*n).unwrap_or(0),
            other => panic!("{name} is not a whole number: {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Type, key};

    const ANY_LIST: Validator = Validator::LIST;
    static DEF: ConfigDef = ConfigDef::new(&[
        &[
            key("l", Type::List).default("a").validator(ANY_LIST).doc("d"),
            key("e", Type::List)
                .default("a")
                .validator(Validator::NON_EMPTY_LIST)
                .doc("d"),
            key("v", Type::List)
                .default("a")
                .validator(Validator::List {
                    of: &["a", "b"],
                    empty_allowed: false,
                    null_allowed: false,
                })
                .doc("d"),
        ],
        &[
            key("b", Type::String)
                .default("A")
                .validator(Validator::OneOfIgnoringCase(&["A", "B"]))
                .doc("d"),
            key("db", Type::Double)
                .default("0.5")
                .validator(Validator::BetweenDoubles(0.5, 1.0))
                .doc("d"),
            key("sh", Type::Short)
                .default("5")
                .validator(Validator::Between(0, 900))
                .doc("d"),
            key("lg", Type::Long)
                .default("5")
                .validator(Validator::AtLeast(0))
                .doc("d"),
            key("n", Type::String)
                .default("n")
                .validator(Validator::NonEmptyStringWithoutControlChars)
                .doc("d"),
        ],
    ]);

    fn props(name: &str, value: &str) -> Props {
        Props::from([(name.to_owned(), value.to_owned())])
    }

    /// Texts and values were printed by Kafka 4.3.1's own `ConfigDef`.
    #[test]
    fn parse_and_validate_say_what_kafka_says() {
        let check = |name: &str, text: &str, parsed: Result<&str, &str>, errors: &[&str]| {
            let result = DEF.parse(&props(name, text));
            let result = result
                .map(|values| values.get(name).to_string())
                .map_err(|errors| errors.to_string());
            assert_eq!(
                result,
                parsed.map(str::to_owned).map_err(str::to_owned),
                "{name}={text}"
            );
            let validated = DEF.validate(&props(name, text));
            let value = validated
                .iter()
                .find(|value| value.key.name == name)
                .expect("in the table");
            assert_eq!(value.errors, errors, "{name}={text}");
        };
        check(
            "l",
            "a,a",
            Ok("[a]"),
            &["Configuration 'l' values must not be duplicated."],
        );
        let empty = "Configuration 'l' values must not be empty.";
        check("l", "a,,b", Err(empty), &[empty]);
        check(
            "l",
            ",",
            Err(empty),
            &["Configuration 'l' values must not be duplicated."],
        );
        check("l", "", Ok("[]"), &[]);
        let empty = "Configuration 'e' must not be empty. Valid values include: any non-empty value";
        check("e", "", Err(empty), &[empty]);
        let empty = "Configuration 'v' must not be empty. Valid values include: [a, b]";
        check("v", "", Err(empty), &[empty]);
        let stranger = "Invalid value c for configuration v: String must be one of: a, b";
        check("v", "c", Err(stranger), &[stranger]);
        check("b", "a", Ok("a"), &[]);
        let stranger = "Invalid value c for configuration b: String must be one of (case insensitive): A, B";
        check("b", "c", Err(stranger), &[stranger]);
        let low = "Invalid value 0.4 for configuration db: Value must be at least 0.5";
        check("db", "0.4", Err(low), &[low]);
        let no_number = "Invalid value x for configuration db: Not a number of type DOUBLE";
        let no_value = "Invalid value null for configuration db: Value must be non-null";
        check("db", "x", Err(no_number), &[no_number, no_value]);
        check("db", "1.0d", Ok("1.0"), &[]);
        check("db", "NaN", Ok("NaN"), &[]);
        let high = "Invalid value 901 for configuration sh: Value must be no more than 900";
        check("sh", "901", Err(high), &[high]);
        check("lg", " 5 ", Ok("5"), &[]);
        let low = "Invalid value -1 for configuration lg: Value must be at least 0";
        check("lg", "-1", Err(low), &[low]);
        let control = "Invalid value a\tb for configuration n: \
                       String may not contain control sequences but had the following ASCII chars: 9";
        check("n", "a\tb", Err(control), &[control]);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let all =
            Props::from([("l", ","), ("lg", "x"), ("unknown", "is not looked at")].map(|(k, v)| (k.into(), v.into())));
        let errors = DEF.parse(&all).expect_err("two are wrong");
        assert_eq!(
            errors.0.iter().map(|error| error.name.as_str()).collect::<Vec<_>>(),
            ["l", "lg"]
        );
    }

    #[test]
    fn a_required_key_must_be_there() {
        static DEF: ConfigDef = ConfigDef::new(&[&[key("name", Type::String).doc("d")]]);
        let errors = DEF.parse(&Props::new()).expect_err("name is missing");
        assert_eq!(
            errors.to_string(),
            "Missing required configuration \"name\" which has no default value."
        );
    }

    #[test]
    fn a_good_table_has_no_faults_and_a_bad_one_has() {
        assert_eq!(DEF.faults(), Vec::<String>::new());
        static BAD: ConfigDef = ConfigDef::new(&[&[
            key("a", Type::Int)
                .default("0")
                .validator(Validator::AtLeast(1))
                .doc("d"),
            key("a", Type::Int).default("0"),
        ]]);
        assert_eq!(
            BAD.faults(),
            [
                "the default does not pass: Invalid value 0 for configuration a: Value must be at least 1",
                "a is listed twice",
                "a has no doc",
            ]
        );
    }

    #[test]
    fn a_misspelt_key_has_a_neighbour() {
        static DEF: ConfigDef = ConfigDef::new(&[&[key("tasks.max", Type::Int).default("1").doc("d")]]);
        assert_eq!(DEF.nearest("task.max"), Some("tasks.max"));
        assert_eq!(DEF.nearest("bootstrap.servers"), None);
    }
}
