//! Sections, and the steps that are made of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::stages::{
    Candidate, Deploy, Evaluate, Explain, Extract, Predict, Source, Split, Train, Transform, Validate,
    champion,
};
use super::super::{Branches, Spec, StageParams, Step};
use super::Loader;
use super::data::{Data, Prediction};
use super::wording;
use crate::id::{ModelName, PipelineName, StepName};

/// What a specification can consist of instead of steps.
pub(super) const SECTIONS: [&str; 11] = [
    "data",
    "split",
    "validate",
    "features",
    "candidates",
    "evaluate",
    "gates",
    "explain",
    "deploy",
    "predict",
    "limits",
];

/// What the only source is called, if it is written as `source`.
const ONLY_SOURCE: &str = "data";

/// How the steps are written, so that what is wrong with one is told where it stands.
pub(super) enum Written {
    Steps,
    Sections {
        /// `source = …` instead of `[….sources]`.
        has_one_source: bool,
    },
}

impl Written {
    /// Where the parameter at `path` of that step is written.
    pub(super) fn key_of(&self, spec: &Spec, step: usize, path: &str) -> String {
        let Self::Sections { has_one_source } = self else {
            // Stands beside the parameters; no parameter that is checked has this name.
            if path == "branches" {
                return format!("steps[{step}].branches");
            }
            return format!("steps[{step}].params.{path}");
        };
        let stage = spec.steps.get(step).map_or("", |s| s.params.kind().name);
        let section = match stage {
            "extract" => "data",
            "transform" => "features",
            other => other,
        };
        let begins_with = |word: &str| {
            path == word || path.starts_with(&format!("{word}.")) || path.starts_with(&format!("{word}["))
        };
        if ["split", "candidates", "gates"].into_iter().any(begins_with) {
            return path.to_owned();
        }
        let only = format!("sources.{ONLY_SOURCE}");
        match path.strip_prefix(&only) {
            Some(rest) if *has_one_source => format!("{section}.source{rest}"),
            _ => format!("{section}.{path}"),
        }
    }
}

impl Loader<'_> {
    /// The steps that sections ask for.
    pub(super) fn sections(
        &mut self,
        mut top: Map<String, Value>,
        pipeline: &PipelineName,
    ) -> (Vec<Step>, Written) {
        let limits = top.remove("limits");
        let has_one_source = ["data", "predict"]
            .iter()
            .any(|section| top.get(*section).is_some_and(|s| s.get("source").is_some()));
        let params = match (top.remove("data"), top.remove("predict")) {
            (None, None) if top.is_empty() => {
                self.problem(
                    "",
                    "nothing is to be done: write [data] with `source` and `label`, [predict] with `model` and `source`, \
                     or [[steps]]",
                );
                Vec::new()
            }
            (None, None) => {
                self.problem(
                    "data",
                    "is missing: write [data] and under it source = \"a-file.csv\" and label = \"a-column\"",
                );
                self.training(None, top, pipeline)
            }
            (Some(data), None) => self.training(Some(data), top, pipeline),
            (None, Some(predict)) => {
                for section in top.keys() {
                    self.problem(
                        section.clone(),
                        "a specification with [predict] has no other sections but [limits]",
                    );
                }
                let predict = self.prediction(predict, pipeline);
                predict.map(StageParams::Predict).into_iter().collect()
            }
            (Some(_), Some(_)) => {
                self.problem(
                    "predict",
                    "a specification either trains ([data]) or predicts ([predict]); make two of it",
                );
                Vec::new()
            }
        };
        let mut steps: Vec<Step> = params.into_iter().filter_map(step).collect();
        if let Some(limits) = limits {
            self.limits(limits, &mut steps);
        }
        (steps, Written::Sections { has_one_source })
    }

    fn training(
        &mut self,
        data: Option<Value>,
        mut top: Map<String, Value>,
        pipeline: &PipelineName,
    ) -> Vec<StageParams> {
        let mut take = |section: &str| top.remove(section);
        let split = take("split");
        let split = self.section::<Split>(split, "split");
        let validate = take("validate");
        let mut validate: Validate = self.section(validate, "validate");
        let transform = take("features");
        let transform: Transform = self.section(transform, "features");
        let candidates = self.candidates(take("candidates"));
        let evaluate = take("evaluate");
        let mut evaluate: Evaluate = self.section(evaluate, "evaluate");
        if !evaluate.gates.is_empty() {
            self.problem("evaluate.gates", "gates stand outside: write [[gates]]");
        }
        evaluate.gates = self.list(take("gates"), "gates");
        let explain = take("explain");
        let explain: Option<Explain> = self.switch(explain, "explain");
        let deploy = take("deploy");
        let mut deploy: Option<Deploy> = self.switch(deploy, "deploy");
        if let Some(deploy) = &mut deploy {
            // Both names obey one rule.
            let model = deploy
                .model
                .take()
                .or_else(|| ModelName::new(pipeline.as_str()).ok());
            for champion in [
                (&mut validate.model, &mut validate.alias),
                (&mut evaluate.model, &mut evaluate.alias),
            ] {
                let (asked, alias) = champion;
                *asked = asked.take().or_else(|| model.clone());
                *alias = alias.take().or_else(|| Some(deploy.alias.clone()));
            }
            deploy.model = model;
        }
        let mut params = vec![
            StageParams::Extract(self.data(data, split)),
            StageParams::Validate(validate),
            StageParams::Transform(transform),
            StageParams::Train(Train { candidates }),
            StageParams::Evaluate(evaluate),
        ];
        params.extend(explain.map(StageParams::Explain));
        params.extend(deploy.map(StageParams::Deploy));
        params
    }

    /// What is missing was told, and stands empty in what this gives, so that the rest can be checked.
    fn data(&mut self, data: Option<Value>, split: Split) -> Extract {
        let is_there = data.as_ref().is_some_and(Value::is_object);
        let Data {
            source,
            sources,
            sql,
            label,
            task,
            positive,
            key,
            weight,
            exclude,
        } = self.section(data, "data");
        if is_there && label.is_none() && !self.is_told("data.label") {
            self.problem(
                "data.label",
                "is missing: name the column that is to be predicted",
            );
        }
        let sources = match is_there {
            true => self.sources(source, sources, "data"),
            false => BTreeMap::new(),
        };
        Extract {
            sources,
            sql,
            label: label.unwrap_or_default(),
            task,
            positive,
            key,
            weight,
            exclude,
            split,
        }
    }

    fn prediction(&mut self, predict: Value, pipeline: &PipelineName) -> Option<Predict> {
        let Prediction {
            model,
            alias,
            version,
            source,
            sources,
            sql,
            keep,
        } = self.read(predict, "predict")?;
        if model.is_none() && !self.is_told("predict.model") {
            self.problem("predict.model", "is missing: name a registered model");
        }
        Some(Predict {
            // Stands for one that is missing, so that the rest can be checked.
            model: model.or_else(|| ModelName::new(pipeline.as_str()).ok())?,
            alias: alias.unwrap_or_else(champion),
            version,
            sources: self.sources(source, sources, "predict"),
            sql,
            keep,
        })
    }

    fn sources(
        &mut self,
        source: Option<Source>,
        mut sources: BTreeMap<String, Source>,
        section: &str,
    ) -> BTreeMap<String, Source> {
        match source {
            Some(_) if !sources.is_empty() => self.problem(
                format!("{section}.source"),
                format!("give either `source` or [{section}.sources], not both"),
            ),
            Some(source) => {
                sources.insert(ONLY_SOURCE.to_owned(), source);
            }
            None if sources.is_empty() && !self.is_told(&format!("{section}.source")) => self.problem(
                format!("{section}.source"),
                format!(
                    "is missing: write source = \"a-file.csv\", or several under [{section}.sources], each \
                     as name = \"a-file.csv\""
                ),
            ),
            None => {}
        }
        sources
    }

    /// True if something was said of what begins with `key`.
    fn is_told(&self, key: &str) -> bool {
        self.problems.iter().any(|p| p.key.starts_with(key))
    }

    /// A section that can be left out.
    fn section<T: serde::de::DeserializeOwned + Default>(&mut self, section: Option<Value>, key: &str) -> T {
        section
            .and_then(|section| self.read(section, key))
            .unwrap_or_default()
    }

    /// A section of a step that can be switched off; none if it is.
    fn switch<T: serde::de::DeserializeOwned + Default>(
        &mut self,
        section: Option<Value>,
        key: &str,
    ) -> Option<T> {
        match section {
            Some(Value::Bool(false)) => None,
            None | Some(Value::Bool(true)) => Some(T::default()),
            Some(Value::Object(keys)) => Some(self.section(Some(Value::Object(keys)), key)),
            Some(_) => {
                self.problem(
                    key,
                    format!("must be a table ([{key}]), or false to leave it out"),
                );
                None
            }
        }
    }

    fn candidates(&mut self, candidates: Option<Value>) -> Vec<Candidate> {
        match candidates {
            None => ["linear", "boosting"]
                .into_iter()
                .filter_map(|model| serde_json::from_value(serde_json::json!({ "model": model })).ok())
                .collect(),
            given => self.list(given, "candidates"),
        }
    }

    /// The tables of a list that are right.
    fn list<T: serde::de::DeserializeOwned>(&mut self, list: Option<Value>, key: &str) -> Vec<T> {
        match list {
            None => Vec::new(),
            Some(Value::Array(values)) => {
                let read = |(at, value)| self.read(value, &format!("{key}[{at}]"));
                values.into_iter().enumerate().filter_map(read).collect()
            }
            Some(_) => {
                self.problem(key, format!("must be a list: write [[{key}]] above each of them"));
                Vec::new()
            }
        }
    }

    /// `[limits]`: how long an attempt of a step may take.
    fn limits(&mut self, limits: Value, steps: &mut [Step]) {
        let Value::Object(limits) = limits else {
            self.problem(
                "limits",
                "must be a table: write [limits] and under it train = \"10m\"",
            );
            return;
        };
        let names: Vec<String> = steps.iter().map(|s| s.step.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (name, limit) in limits {
            let key = format!("limits.{name}");
            let time = match &limit {
                Value::String(text) => super::super::time_limit(text),
                _ => Err("must be a duration, such as \"10m\"".into()),
            };
            match (steps.iter_mut().find(|s| s.step.as_str() == name), time) {
                (Some(step), Ok(time)) => step.time_limit = Some(time),
                (_, Err(message)) => self.problem(key, message),
                // Without steps there are no names to compare with, and what is missing was told.
                (None, Ok(_)) if names.is_empty() => {}
                (None, Ok(_)) => self.problem(key, wording::unknown(&name, &names)),
            }
        }
    }
}

/// A step that is called like its stage; train has a branch for each candidate.
fn step(params: StageParams) -> Option<Step> {
    let branches = match &params {
        StageParams::Train(train) => u32::try_from(train.candidates.len()).ok().map(Branches::Known),
        _ => None,
    };
    Some(Step {
        step: StepName::new(params.kind().name).ok()?,
        params,
        branches,
        min_succeeded: 1,
        time_limit: None,
    })
}
