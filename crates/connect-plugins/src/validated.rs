//! Values with what is wrong with them.

use std::collections::HashMap;

use config_def::Value;

use crate::ConfigValueInfo;

/// What a validation says of one key (`ConfigValue`).
#[derive(Clone, Debug)]
pub(crate) struct Validated {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) errors: Vec<String>,
    pub(crate) recommended: Vec<String>,
    pub(crate) visible: bool,
}

impl Validated {
    /// A value with which nothing is wrong so far.
    pub(crate) fn new(name: impl Into<String>, value: Value) -> Self {
        Self {
            name: name.into(),
            value,
            errors: Vec::new(),
            recommended: Vec::new(),
            visible: true,
        }
    }

    pub(crate) fn info(self) -> ConfigValueInfo {
        ConfigValueInfo {
            value: self.value.to_text(),
            name: self.name,
            recommended_values: self.recommended,
            errors: self.errors,
            visible: self.visible,
        }
    }
}

/// What a validation says of many keys, in order. Requests can name many, so they are found by name.
#[derive(Debug, Default)]
pub(crate) struct Validations {
    all: Vec<Validated>,
    places: HashMap<String, usize>,
}

impl Validations {
    pub(crate) fn new(all: impl Iterator<Item = Validated>) -> Self {
        let mut validations = Self::default();
        all.for_each(|value| validations.put(value));
        validations
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Validated> {
        self.places.get(name).map(|place| &self.all[*place])
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Validated> {
        self.places.get(name).map(|place| &mut self.all[*place])
    }

    /// Adds a value, or takes the place of the one with its name.
    pub(crate) fn put(&mut self, value: Validated) {
        match self.places.get(&value.name) {
            Some(place) => self.all[*place] = value,
            None => {
                self.places.insert(value.name.clone(), self.all.len());
                self.all.push(value);
            }
        }
    }

    /// Adds to what is wrong with a key. One that nobody has defined gets a value for it.
    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        if !self.places.contains_key(name) {
            self.put(Validated::new(name, Value::Null));
        }
        if let Some(value) = self.get_mut(name) {
            value.errors.push(message.into());
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Validated> {
        self.all.iter()
    }

    /// All of them, in order.
    pub(crate) fn into_vec(self) -> Vec<Validated> {
        self.all
    }
}
