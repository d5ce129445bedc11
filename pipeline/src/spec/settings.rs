//! `--set key=value`: values from a command line, in the types that the specification gives its parameters.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Overrides, Parameter};
use toml::Value;

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    key: String,
    value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(format!("{text:?} sets nothing; write KEY=VALUE")),
        }
    }
}

/// The settings as overrides of the specification `spec` (a text in TOML). What is wrong with the text itself, or
/// a parameter that it does not have, is left to [`load`](super::load()) to say.
pub fn by_name(spec: &str, settings: Vec<Setting>) -> Result<Overrides, String> {
    let declared: BTreeMap<String, Value> = spec
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("parameters"))
        .and_then(|parameters| parameters.try_into().ok())
        .unwrap_or_default();
    let mut overrides = Overrides::new();
    for Setting { key, value } in settings {
        let parameter = typed(declared.get(&key), &value).map_err(|wanted| {
            format!("--set {key}={value}: the specification's own value is {wanted}, so this must be, too")
        })?;
        if overrides.insert(key.clone(), parameter).is_some() {
            return Err(format!("--set {key}=… is given twice"));
        }
    }
    Ok(overrides)
}

/// `text` in the type of `declared`; which type that is, if it cannot be.
fn typed(declared: Option<&Value>, text: &str) -> Result<Parameter, &'static str> {
    match declared {
        Some(Value::Boolean(_)) => text.parse().map(Parameter::Bool).map_err(|_| "true or false"),
        // A whole number may give way to one that is not, and back.
        Some(Value::Integer(_) | Value::Float(_)) => number(text).ok_or("a number"),
        _ => Ok(Parameter::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Parameter> {
    let whole = text.parse().ok().map(Parameter::Integer);
    whole.or_else(|| {
        text.parse()
            .ok()
            .filter(|n: &f64| n.is_finite())
            .map(Parameter::Float)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[&str]) -> Result<Overrides, String> {
        let spec = "[parameters]\nn = 1\nx = 0.5\non = true\nid = \"7\"\nday = 2026-11-23\n";
        by_name(
            spec,
            pairs.iter().map(|p| p.parse().expect("a setting")).collect(),
        )
    }

    #[test]
    fn values_take_the_type_of_the_parameter() {
        let overrides = set(&["n=2", "x=3", "on=false", "id=0042", "day=2026-11-24"]).expect("good");
        assert_eq!(overrides["n"], Parameter::Integer(2));
        assert_eq!(overrides["x"], Parameter::Integer(3));
        assert_eq!(overrides["on"], Parameter::Bool(false));
        assert_eq!(overrides["id"], Parameter::Text("0042".into()));
        assert_eq!(overrides["day"], Parameter::Text("2026-11-24".into()));
        assert_eq!(set(&["n=0.25"]).expect("good")["n"], Parameter::Float(0.25));
        assert_eq!(
            set(&["id=a=b"]).expect("good")["id"],
            Parameter::Text("a=b".into())
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(set(&["n=many"]).expect_err("no number").contains("must be, too"));
        assert!(set(&["x=NaN"]).is_err() && set(&["x=inf"]).is_err() && set(&["on=1"]).is_err());
        assert!(set(&["n=1", "n=2"]).expect_err("twice").contains("twice"));
        assert!("n".parse::<Setting>().is_err() && "=1".parse::<Setting>().is_err());
    }
}
