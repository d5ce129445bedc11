"""Runs pipelines for parity.py and reads what they leave: artifacts, predictions, and the numbers in a model's file."""

import hashlib
import json
import re
import struct
import subprocess
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# A busy machine needs minutes for the flights; nothing here takes half an hour.
RUN_TIMEOUT_S = 1800
PREDICT_TIMEOUT_S = 180


class Failure(Exception):
    """A comparison that cannot be made, with the reason for people."""


def derived(example, pipeline, tail, sql=None, label=None):
    """The specification of an example with other candidates: everything before them stays, `tail` follows."""
    path = EXAMPLES / example
    head = path.read_text(encoding="utf-8").split("\n[[candidates]]")[0]
    head, found = re.subn(r'(?m)^pipeline = "[^"]*"', f'pipeline = "{pipeline}"', head)
    if found != 1:
        raise Failure(f"{path} does not name its pipeline once")
    # The derived specification lies elsewhere than the data.
    head = head.replace('"data/', f'"{path.parent}/data/')
    if label:
        head = re.sub(r'(?m)^label = "[^"]*"', f'label = "{label}"\nsql = "{sql}"', head)
        head = head.replace("source = {", "sources.input = {")
    return f"{head}\n{tail}"


class Fleet:
    """The binaries and the folder where their state is."""

    def __init__(self, worker, producer, folder, log):
        self.worker, self.producer, self.folder, self.log = worker, producer, folder, log
        self.backend = f"local:{folder / 'state'}"

    def _call(self, command, timeout_s):
        try:
            done = subprocess.run(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"`{Path(command[0]).name} {command[1]}` did not end within {timeout_s} s") from None
        if done.returncode != 0:
            what = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise Failure(f"`{Path(command[0]).name} {command[1]}` ended with code {done.returncode}: {what}")
        return done.stdout

    def run(self, spec):
        """Runs a specification, given as a path or as text."""
        if isinstance(spec, str):
            name = re.search(r'(?m)^pipeline = "([^"]*)"', spec)[1]
            path = self.folder / f"{name}.toml"
            path.write_text(spec, encoding="utf-8")
            spec = path
        self.log(f"running {spec.name} of {spec.parent.name}")
        command = [self.worker, "run", str(spec), "--json", "--backend", self.backend]
        command += ["--source-folders", str(EXAMPLES)]
        report = json.loads(self._call(command, RUN_TIMEOUT_S).strip().splitlines()[-1])
        return Run(self, report)


class Run:
    """A run that succeeded."""

    def __init__(self, fleet, report):
        self.fleet, self.report, self.id = fleet, report, report["run"]
        command = [fleet.producer, "artifacts", "list", self.id, "--json", "--backend", fleet.backend]
        self.artifacts = {}
        for a in json.loads(fleet._call(command, 60)):
            self.artifacts[a["step"], a["ordinal"], a["name"]] = Path(a["location"])
        self.dataset = self.json("extract", "dataset.json")
        self.features = self.json("transform", "features.json")["features"]
        self.evaluation = self.json("evaluate", "evaluation.json")
        self.task, self.label, self.classes = (self.dataset.get(k) for k in ("task", "label", "classes"))

    def path(self, step, name, ordinal=None):
        try:
            return self.artifacts[step, ordinal, name]
        except KeyError:
            raise Failure(f"run {self.id}: step {step} wrote no {name}") from None

    def json(self, step, name, ordinal=None):
        return json.loads(self.path(step, name, ordinal).read_text(encoding="utf-8"))

    def raw(self, split):
        """The file with the raw columns of a split, as validation left them."""
        step = "validate" if ("validate", None, "train.parquet") in self.artifacts else "extract"
        return self.path(step, f"{split}.parquet")

    def rows(self, split):
        return pd.read_parquet(self.raw(split))

    def target(self, rows):
        """By row: the class' index, or the number."""
        if self.task == "regression":
            return rows[self.label].to_numpy(np.float64)
        texts = rows[self.label].map(lambda v: str(v).lower() if isinstance(v, (bool, np.bool_)) else str(v))
        return texts.map({c: i for i, c in enumerate(self.classes)}).to_numpy(np.int64)

    def matrix(self, split):
        """A split's features as trees see them, and the target: codes of categories, NaN for what is missing."""
        table = pd.read_parquet(self.path("transform", f"{split}.features.parquet"))
        values = table[[f["name"] for f in self.features]].astype(np.float32).to_numpy()
        return np.ascontiguousarray(values), table["__target"].to_numpy(np.float64)

    @property
    def categories(self):
        return [i for i, f in enumerate(self.features) if f["kind"] == "category"]

    def by_column(self, contributions):
        """The mean size of what each raw column adds, from (rows, outputs, features); of several outputs the sum."""
        sizes = {}
        for column in dict.fromkeys(f["column"] for f in self.features):
            own = [i for i, f in enumerate(self.features) if f["column"] == column]
            sizes[column] = float(np.abs(contributions[:, :, own].sum(axis=2)).sum(axis=1).mean())
        return sizes

    def candidate(self, name):
        return next(c for c in self.evaluation["candidates"] if c["name"] == name)

    @cached_property
    def predictions(self):
        """What the deployed model says of test: probabilities (rows, outputs) or numbers (rows, 1), and the column of
        predictions."""
        target = self.fleet.folder / f"{self.id}.predictions.parquet"
        target.unlink(missing_ok=True)
        model = f"{self.report['model']['name']}@{self.id}"
        command = [self.fleet.worker, "predict", "--model", model, "--input", str(self.raw("test"))]
        command += ["--output", str(target), "--json", "--backend", self.fleet.backend]
        self.fleet._call(command, PREDICT_TIMEOUT_S)
        found = pd.read_parquet(target)
        columns = {
            "binary": ["probability"],
            "regression": ["prediction"],
            "multiclass": [f"probability_{c}" for c in self.classes or []],
        }[self.task]
        return found[columns].to_numpy(np.float64), found["prediction"]


def linear_model(path):
    """A linear model's file: its features, and its coefficients (outputs, columns), intercepts and column means."""
    data = path.read_bytes()
    magic, kind, version, length = struct.unpack_from("<8s4sIQ", data)
    if (magic, kind, version) != (b"FLEETLN1", b"MODL", 2) or length != len(data) - 56:
        raise Failure(f"{path.name} is no model of version 2: teach parity_fleet.py its new form")
    if hashlib.sha256(data[:24] + data[56:]).digest() != data[24:56]:
        raise Failure(f"{path.name} has another digest than it names")
    (size,) = struct.unpack_from("<I", data, 56)
    header = json.loads(data[60 : 60 + size])
    numbers = np.frombuffer(data[60 + size :], "<f8")
    outputs = header["classes"] if header["task"] == "multiclass" else 1
    columns = (len(numbers) - outputs) // (outputs + 1)
    weights = numbers[outputs : outputs * (1 + columns)].reshape(outputs, columns)
    return header["features"], weights, numbers[:outputs], numbers[outputs * (1 + columns) :]
