use std::fmt;

/// Text that is never shown: its `Debug` and `Display` are `[hidden]`, as in Kafka.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Hides `secret`.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A value after parsing.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not set, and no default.
    Null,
    /// Of type `STRING`.
    String(String),
    /// Of type `INT`.
    Int(i32),
    /// Of type `LONG`.
    Long(i64),
    /// Of type `SHORT`.
    Short(i16),
    /// Of type `DOUBLE`.
    Double(f64),
    /// Of type `BOOLEAN`.
    Boolean(bool),
    /// Of type `LIST`.
    List(Vec<String>),
    /// Of type `CLASS`: the name.
    Class(String),
    /// Of type `PASSWORD`.
    Password(Password),
}

impl Value {
    /// The value as REST and docs show it (`ConfigDef.convertToString`): lists joined with `,`, passwords hidden.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::List(elements) => Some(elements.join(",")),
            other => Some(other.to_string()),
        }
    }

    /// The number, if it is one, for comparing with a bound.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(f64::from(*n)),
            #[expect(
                clippy::cast_precision_loss,
                reason = "Kafka compares a long with its bounds as a double, too"
            )]
            Value::Long(n) => Some(*n as f64),
            Value::Short(n) => Some(f64::from(*n)),
            Value::Double(n) => Some(*n),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Class(text) => Some(text),
            _ => None,
        }
    }
}

/// As Java prints it, for messages: `[a, b]` for a list, `null` for nothing.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::String(text) | Value::Class(text) => f.write_str(text),
            Value::Int(n) => write!(f, "{n}"),
            Value::Long(n) => write!(f, "{n}"),
            Value::Short(n) => write!(f, "{n}"),
            Value::Double(n) => f.write_str(&java_double(*n)),
            Value::Boolean(b) => write!(f, "{b}"),
            Value::List(elements) => write!(f, "[{}]", elements.join(", ")),
            Value::Password(password) => write!(f, "{password}"),
        }
    }
}

/// `Double.toString` for the numbers that configurations hold: always with a decimal point.
pub(crate) fn java_double(n: f64) -> String {
    if n.is_nan() {
        "NaN".to_owned()
    } else if n.is_infinite() {
        if n > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{n:?}")
    }
}
