//! JSON Schemas of what crosses a queue and of what people write (feature `schema`), as `make schema` publishes
//! them: for editors, and for senders in other languages.
//!
//! A schema cannot say everything: what it refuses is refused here too, while what it takes may still be refused,
//! with a better message, by [`Envelope::parse`] or [`crate::spec::load()`].

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::envelope::Envelope;
use crate::intake::Posted;
use crate::plan::MAX_STEPS;
use crate::spec::{Written, params_schemas, sorted_value};

/// The schema of a message.
pub fn envelope() -> Value {
    let title = "A message of fleetline";
    let about =
        "Names a step of a run that may have work. Unknown fields are refused: what they say might matter.";
    sorted_value(root::<Envelope>(&mut generator(), title, about).to_value())
}

/// The schema of what upstream systems post to ask for a run.
pub fn run_request() -> Value {
    let title = "A run request of fleetline";
    let about = "Asks for a run of a pipeline that was applied. Unknown fields are refused: what they say might matter.";
    sorted_value(root::<Posted>(&mut generator(), title, about).to_value())
}

/// The schema of a specification as people write it, in TOML, with `${name}` wherever a value may stand.
pub fn spec() -> Value {
    let mut generator = generator();
    let by_stage = params_schemas(&mut generator);
    let title = "A pipeline of fleetline";
    let about = "What is done, in which order; checked as a whole before a run of it is accepted.";
    let mut schema = root::<Written>(&mut generator, title, about);
    describe_steps(&mut schema, &by_stage);
    describe_candidates(&mut schema);
    describe_forms(&mut schema);
    describe_sections(&mut schema);
    without_null(&mut schema);
    // Values of parameters are taken as they are written.
    let parameter = schema.pointer_mut("/$defs/Parameter").map(Value::take);
    allow_references(&mut schema);
    if let Some(parameter) = parameter {
        define(&mut schema, "Parameter", parameter);
    }
    define(
        &mut schema,
        REFERENCE,
        json!({
            "description": "Stands for the value of a parameter of that name.",
            "type": "string",
            "pattern": r"^\$\{[^{}]+\}$",
        }),
    );
    define(
        &mut schema,
        TEXT_WITH_REFERENCE,
        json!({
            "description": "A text that takes in values of parameters, each as ${name}.",
            "type": "string",
            "pattern": r"\$\{[^{}]+\}",
        }),
    );
    sorted_value(schema.to_value())
}

const REFERENCE: &str = "Reference";
const TEXT_WITH_REFERENCE: &str = "TextWithReference";

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    settings
        .with_transform(RecursiveTransform(bound))
        .into_generator()
}

/// A format is only a remark to most readers; a bound is not.
fn bound(schema: &mut Schema) {
    if schema.get("format").is_some_and(|format| format == "uint32") && schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), u32::MAX.into());
    }
}

fn root<T: JsonSchema>(generator: &mut SchemaGenerator, title: &str, description: &str) -> Schema {
    let mut schema = generator.root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.insert("description".to_owned(), description.into());
    schema
}

fn define(schema: &mut Schema, name: &str, definition: Value) {
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        definitions.insert(name.to_owned(), definition);
    }
}

/// Says what types alone do not: which stages there are, and that `params` depends on the stage.
fn describe_steps(schema: &mut Schema, by_stage: &[(&'static str, Schema)]) {
    let needs_params = |params: &Schema| {
        let name = params
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|r| r.rsplit('/').next());
        name.and_then(|name| schema.pointer(&format!("/$defs/{name}/required")))
            .is_some()
    };
    let conditions: Vec<Value> = by_stage
        .iter()
        .map(|(stage, params)| {
            let mut then = json!({ "properties": { "params": params } });
            if needs_params(params) {
                then["required"] = json!(["params"]);
            }
            json!({ "if": { "properties": { "stage": { "const": stage } } }, "then": then })
        })
        .collect();
    let names: Vec<&str> = by_stage.iter().map(|(stage, _)| *stage).collect();
    if let Some(steps) = schema.pointer_mut("/properties/steps") {
        steps["minItems"] = 1.into();
        steps["maxItems"] = MAX_STEPS.into();
    }
    if let Some(step) = schema.pointer_mut("/$defs/Step") {
        step["allOf"] = conditions.into();
        step["properties"]["stage"]["enum"] = names.into();
    }
}

/// Says that a candidate has the hyperparameters of its own model and no others: each form is put together of what
/// stands apart where it was made.
fn describe_candidates(schema: &mut Schema) {
    let Some(Value::Array(mut forms)) = schema.pointer_mut("/$defs/Candidate/oneOf").map(Value::take) else {
        return;
    };
    for form in &mut forms {
        let Some(rest) = form["$ref"]
            .as_str()
            .and_then(|r| r.strip_prefix("#/$defs/"))
            .map(str::to_owned)
        else {
            continue;
        };
        let Some(mut rest) = schema
            .get_mut("$defs")
            .and_then(Value::as_object_mut)
            .and_then(|definitions| definitions.remove(&rest))
        else {
            continue;
        };
        if let (Some(form), Some(rest)) = (form.as_object_mut(), rest["properties"].as_object_mut()) {
            form.remove("$ref");
            form.insert("additionalProperties".to_owned(), false.into());
            if let Some(Value::Object(keys)) = form.get_mut("properties") {
                keys.append(rest);
            }
        }
    }
    if let Some(place) = schema.pointer_mut("/$defs/Candidate/oneOf") {
        *place = forms.into();
    }
}

/// The forms of a value with a tag exclude each other by its value; but a tag that is `${name}` fits all of them.
fn describe_forms(schema: &mut Schema) {
    for name in ["Candidate", "Split"] {
        if let Some(forms) = schema.pointer_mut(&format!("/$defs/{name}"))
            && let Some(forms) = forms.as_object_mut()
            && let Some(all) = forms.remove("oneOf")
        {
            forms.insert("anyOf".to_owned(), all);
        }
    }
}

/// Says what goes together: steps or sections, one source or several.
fn describe_sections(schema: &mut Schema) {
    // Gates stand beside `[evaluate]` where it is a section, and in it where it is a step's.
    if let Some(mut evaluate) = schema.pointer("/$defs/Evaluate").cloned() {
        if let Some(properties) = evaluate["properties"].as_object_mut() {
            properties.remove("gates");
        }
        define(schema, "EvaluateSection", evaluate);
        if let Some(section) = schema.pointer_mut("/properties/evaluate") {
            let description = section["description"].take();
            *section = json!({ "$ref": "#/$defs/EvaluateSection", "description": description });
        }
    }
    for (section, required) in [("Data", "label"), ("Prediction", "model")] {
        if let Some(section) = schema.pointer_mut(&format!("/$defs/{section}")) {
            section["required"] = json!([required]);
            section["oneOf"] = json!([{ "required": ["source"] }, { "required": ["sources"] }]);
        }
    }
    let training = [
        "split",
        "validate",
        "features",
        "candidates",
        "evaluate",
        "gates",
        "explain",
        "deploy",
    ];
    let none_of = |names: &[&str]| {
        let each: Vec<Value> = names.iter().map(|name| json!({ "required": [name] })).collect();
        json!({ "anyOf": each })
    };
    let not_with_steps = [&training[..], &["data", "predict", "limits"]].concat();
    let not_with_predict = [&training[..], &["data", "steps"]].concat();
    schema.insert(
        "oneOf".to_owned(),
        json!([
            { "required": ["data"], "not": none_of(&["predict", "steps"]) },
            { "required": ["predict"], "not": none_of(&not_with_predict) },
            { "required": ["steps"], "not": none_of(&not_with_steps) },
        ]),
    );
}

/// TOML has no null: what is not given is left out.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice != &json!({ "type": "null" }));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                if schema.get(&key).is_none() {
                    schema.insert(key, value);
                }
            }
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    transform_subschemas(&mut without_null, schema);
}

/// Lets `${name}` stand for every value.
fn allow_references(schema: &mut Schema) {
    if let Some(definition) = reference_instead_of(schema) {
        // What is said of a value as a whole stays outside, where editors look for it.
        let outside = ["description", "default"].map(|key| (key, schema.remove(key)));
        let value = std::mem::take(schema);
        *schema = json_schema!({ "anyOf": [value, { "$ref": format!("#/$defs/{definition}") }] });
        for (key, annotation) in outside {
            if let Some(annotation) = annotation {
                schema.insert(key.to_owned(), annotation);
            }
        }
        return;
    }
    transform_subschemas(&mut allow_references, schema);
}

/// What may stand instead of a value of this schema: nothing (as it is no simple value, or takes any text anyway), a
/// reference alone, or any text that has one in it.
fn reference_instead_of(schema: &Schema) -> Option<&'static str> {
    let has = |key| schema.get(key).is_some();
    let is_type = |name: &str| match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    };
    let is_choice_of_texts = || {
        let choices = schema.get("oneOf").and_then(Value::as_array);
        choices.is_some_and(|all| {
            all.iter()
                .all(|one| one["type"] == "string" && !one["const"].is_null())
        })
    };
    if is_choice_of_texts() || is_type("string") && (has("pattern") || has("enum") || has("const")) {
        Some(TEXT_WITH_REFERENCE)
    } else if ["integer", "number", "boolean"].into_iter().any(is_type) {
        Some(REFERENCE)
    } else {
        None
    }
}
