use crate::{ConfigError, Validator, Value, convert::parse_type};

/// The type of a value (`ConfigDef.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text, with blanks around it taken off.
    String,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A 16-bit integer.
    Short,
    /// A floating point number.
    Double,
    /// `true` or `false` in any case.
    Boolean,
    /// Texts separated by commas.
    List,
    /// The name of a Java class.
    Class,
    /// Text that no log and no answer shows.
    Password,
}

impl Type {
    /// Kafka's name of the type, as in messages and REST.
    pub const fn name(self) -> &'static str {
        match self {
            Type::String => "STRING",
            Type::Int => "INT",
            Type::Long => "LONG",
            Type::Short => "SHORT",
            Type::Double => "DOUBLE",
            Type::Boolean => "BOOLEAN",
            Type::List => "LIST",
            Type::Class => "CLASS",
            Type::Password => "PASSWORD",
        }
    }
}

/// How much a key matters (`ConfigDef.Importance`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Most users set it.
    High,
    /// Some users set it.
    Medium,
    /// Few users set it.
    Low,
}

impl Importance {
    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }
}

/// How wide a user interface should draw the field (`ConfigDef.Width`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Not said.
    None,
    /// A few characters.
    Short,
    /// A word or two.
    Medium,
    /// A line.
    Long,
}

impl Width {
    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Width::None => "NONE",
            Width::Short => "SHORT",
            Width::Medium => "MEDIUM",
            Width::Long => "LONG",
        }
    }
}

/// What a key is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// It must be set.
    Required,
    /// No value.
    Null,
    /// As if this text had been given.
    Text(&'static str),
}

/// Where values to choose from come from (`ConfigDef.Recommender`). A table only names the place: who shows it knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recommender {
    /// A list that whoever shows the table keeps under this name.
    Catalogue(&'static str),
    /// The versions of what another key names. The key is not shown while the other has no value.
    VersionsOf(&'static str),
}

/// One row of a [`ConfigDef`](crate::ConfigDef): everything that is known about a key. Made with [`key`].
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// The key as a user writes it.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Type,
    /// Its value when nobody sets it.
    pub default: DefaultValue,
    /// Which values are allowed.
    pub validator: Validator,
    /// For a class: the names that we know; any other "could not be found". `None`: not looked at.
    pub classes: Option<&'static [&'static str]>,
    /// How much it matters.
    pub importance: Importance,
    /// The heading it is listed under.
    pub group: Option<&'static str>,
    /// Its place in the group; −1 without one.
    pub order: i32,
    /// How wide to draw it.
    pub width: Width,
    display_name: Option<&'static str>,
    /// Keys whose allowed values depend on this one.
    pub dependents: &'static [&'static str],
    /// Where values to choose from come from.
    pub recommender: Option<Recommender>,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

/// A key that must be set, of low importance, with any value allowed; the methods say otherwise.
pub const fn key(name: &'static str, kind: Type) -> ConfigKey {
    ConfigKey {
        name,
        kind,
        default: DefaultValue::Required,
        validator: Validator::Any,
        classes: None,
        importance: Importance::Low,
        group: None,
        order: -1,
        width: Width::None,
        display_name: None,
        dependents: &[],
        recommender: None,
        doc: "",
    }
}

impl ConfigKey {
    /// The value when nobody sets it, as a user would write it.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = DefaultValue::Text(text);
        self
    }

    /// May be left out, and has no value then.
    #[must_use]
    pub const fn default_null(mut self) -> Self {
        self.default = DefaultValue::Null;
        self
    }

    /// Which values are allowed.
    #[must_use]
    pub const fn validator(mut self, validator: Validator) -> Self {
        self.validator = validator;
        self
    }

    /// The classes that we have a stand-in for.
    #[must_use]
    pub const fn classes(mut self, names: &'static [&'static str]) -> Self {
        self.classes = Some(names);
        self
    }

    /// How much it matters.
    #[must_use]
    pub const fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    /// The heading it is listed under, and its place there.
    #[must_use]
    pub const fn group(mut self, group: &'static str, order: i32) -> Self {
        self.group = Some(group);
        self.order = order;
        self
    }

    /// How wide to draw it.
    #[must_use]
    pub const fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    /// A name for people.
    #[must_use]
    pub const fn display_name(mut self, name: &'static str) -> Self {
        self.display_name = Some(name);
        self
    }

    /// Keys whose allowed values depend on this one.
    #[must_use]
    pub const fn dependents(mut self, names: &'static [&'static str]) -> Self {
        self.dependents = names;
        self
    }

    /// Where values to choose from come from.
    #[must_use]
    pub const fn recommender(mut self, recommender: Recommender) -> Self {
        self.recommender = Some(recommender);
        self
    }

    /// What it does, in a sentence.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The name for people: the key itself unless another was given.
    pub fn display(&self) -> &'static str {
        self.display_name.unwrap_or(self.name)
    }

    /// Reads `text` as a value of this key. Messages call the key `name`, which differs from its own where tables are
    /// put under a prefix.
    pub fn read_as(&self, name: &str, text: &str) -> Result<Value, ConfigError> {
        parse_type(self, name, text)
    }

    /// Whether it must be set.
    pub fn is_required(&self) -> bool {
        self.default == DefaultValue::Required
    }
}
