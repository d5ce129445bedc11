//! Parameters, and the places that their values are put into.

use serde_json::{Map, Value};

use super::super::Parameter;
use super::wording::nearest;
use super::{Loader, Overrides};

impl Loader<'_> {
    pub(super) fn parameters(&mut self, own: Option<Value>, overrides: &Overrides) -> Overrides {
        let mut parameters = Overrides::new();
        match own {
            None => {}
            Some(Value::Object(map)) => {
                for (name, value) in map {
                    match serde_json::from_value::<Parameter>(value) {
                        Ok(parameter) => {
                            parameters.insert(name, parameter);
                        }
                        Err(_) => self.problem(
                            format!("parameters.{name}"),
                            "must be a text, a number, true or false",
                        ),
                    }
                }
            }
            Some(_) => self.problem(
                "parameters",
                "must be a table: write [parameters] and under it name = value",
            ),
        }
        let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        let mut unknown = Vec::new();
        for name in overrides.keys().filter(|n| !parameters.contains_key(*n)) {
            let near = nearest(name, &names).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
            unknown.push(format!(
                "`{name}` is set from outside, but the specification has no such parameter{near}"
            ));
        }
        for message in unknown {
            self.problem("parameters", message);
        }
        parameters.extend(overrides.iter().map(|(k, v)| (k.clone(), v.clone())));
        parameters
    }

    /// Puts parameters' values in the places of `${name}` in all of `map`, which stands at `key`. What cannot be
    /// filled is told and taken out, so that it is not complained of a second time.
    pub(super) fn substitute_in(&mut self, map: &mut Map<String, Value>, key: &str, parameters: &Overrides) {
        map.retain(|name, value| {
            let key = match key {
                "" => name.clone(),
                key => format!("{key}.{name}"),
            };
            self.substitute(value, &key, parameters)
        });
    }

    /// False if something in `value` cannot be filled. A text that is only `${name}` takes the value's type.
    fn substitute(&mut self, value: &mut Value, key: &str, parameters: &Overrides) -> bool {
        match value {
            Value::String(text) if text.contains("${") => match expand(text, parameters) {
                Ok(new) => {
                    *value = new;
                    true
                }
                Err(message) => {
                    self.problem(key, message);
                    false
                }
            },
            Value::Array(values) => {
                let mut is_whole = true;
                for (at, value) in values.iter_mut().enumerate() {
                    is_whole &= self.substitute(value, &format!("{key}[{at}]"), parameters);
                }
                is_whole
            }
            Value::Object(map) => {
                self.substitute_in(map, key, parameters);
                true
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }
}

fn expand(text: &str, parameters: &Overrides) -> Result<Value, String> {
    let find = |name: &str| {
        parameters.get(name).ok_or_else(|| {
            let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
            let near = nearest(name, &names).map_or_else(
                || format!("add it under [parameters], or set it with --set {name}=…"),
                |n| format!("did you mean `${{{n}}}`?"),
            );
            format!("there is no parameter `{name}`; {near}")
        })
    };
    if let Some(name) = text
        .strip_prefix("${")
        .and_then(|t| t.strip_suffix('}'))
        .filter(|n| !n.contains("${"))
    {
        return serde_json::to_value(find(name)?).map_err(|e| e.to_string());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("`${` without `}`")?;
        out.push_str(before);
        out.push_str(&find(name)?.to_string());
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}
