"""Compares what fleetline's pipelines compute with scikit-learn, SHAP, XGBoost and LightGBM on the same rows.

usage: parity.py --worker BINARY --producer BINARY [--only penguins|flights] [--folder FOLDER] [--json]

Runs the examples flights (split at random) and penguins, and pipelines derived from them, and takes the rows, features,
models, metrics and explanations that they leave. Prints one table and ends with 1 if any difference is beyond its
tolerance. A folder that is given is kept, so that a second call finds its steps in the cache.

Tolerances: figures that both sides compute from the same double-precision numbers agree to 1e-9. What fleetline stores
in single precision (features, scales, trees and their contributions) agrees to 1e-6 or 1e-5 of its range. Solvers that
stop at other places, and trees that are grown by other rules, agree as far as it says beside them.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import shap
import xgboost
from parity_fleet import EXAMPLES, Failure, Fleet, derived, linear_model
from parity_peers import Encoders, delong, peers_metrics, width
from parity_table import Table
from scipy.special import logit, softmax
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression, Ridge

EXACT, SINGLE, TREES = 1e-9, 1e-6, 1e-5
# AUC and log loss beside trees that a peer grew: fleetline's aim for the AUC, and the same for the log loss, of which
# LightGBM's own defaults for categories (cat_l2, cat_smooth, min_data_per_group) alone make up 7e-4.
GROWN = 2e-3
QUANTILES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]

EQUAL_BOOSTING = """
[[candidates]]
model = "boosting"
rounds = 100
learning_rate = 0.1
max_leaves = 31
l2 = 1.0
min_child_weight = 1.0
early_stopping = 0
"""
LINEAR = '\n[[candidates]]\nmodel = "linear"\nl2 = 1.0\nmax_iterations = 1000\n'
BALANCED = f'{LINEAR}class_weights = "balanced"\n'
# Attributions of all rows of test, so that both sides have the same, and nothing else.
ALL_ROWS = "\n[explain]\nrows = 100_000\npermutation_repeats = 0\npartial_dependence = 0\n"


def check_metrics(table, group, run, name):
    """`worker predict` on the rows of test, measured by scikit-learn. """
    if run.report["winner"] != name:
        raise Failure(f"the winner is {run.report['winner']}, and only a winner predicts; {name} was expected")
    p, said = run.predictions
    y, found = run.target(run.rows("test")), run.candidate(name)
    wanted = peers_metrics(run.task, y, p)
    if set(wanted) != set(found["test"]):
        raise Failure(f"evaluation.json has the metrics {sorted(found['test'])}, and not {sorted(wanted)}")
    for metric, value in wanted.items():
        table.add(group, f"{name}: {metric} of test", found["test"][metric], value, EXACT)
    if "accuracy" in wanted:
        right = round(wanted["accuracy"] * len(y))
        interval = binomtest(right, len(y)).proportion_ci(method="wilson")
        table.worst(group, f"{name}: interval of accuracy", found["intervals"]["accuracy"], interval, EXACT)
    if "auc" in wanted:
        table.worst(group, f"{name}: interval of auc", found["intervals"]["auc"], delong(y, p[:, 0]), EXACT)
    if run.task == "multiclass":
        wrong = (said.astype(str).to_numpy() != np.array(run.classes)[p.argmax(axis=1)]).sum()
        table.add(group, f"{name}: predictions that are not the likeliest", wrong, 0, 0)


def check_statistics(table, group, run):
    """statistics.json beside pandas, over train."""
    train, found = run.rows("train"), run.json("extract", "statistics.json")["columns"]
    pairs = {"mean": [], "sd": [], "quantiles": [], "missing": []}
    for column in found:
        values = train[column["name"]]
        pairs["missing"].append((column["missing"], values.isna().sum(), 1.0))
        if "numbers" in column:
            if column["type"] == "datetime":
                values = values.astype("datetime64[us]").astype(np.int64).where(values.notna())
            numbers, values = column["numbers"], values.dropna().astype(np.float64)
            scale = max(abs(values).max(), 1e-300)
            pairs["mean"].append((numbers["mean"], values.mean(), scale))
            pairs["sd"].append((numbers["sd"], values.std(), scale))
            quantiles = np.quantile(values, QUANTILES)
            pairs["quantiles"] += zip(numbers["quantiles"], quantiles, [scale] * 7)
    for what, (ours, theirs, scale) in {k: np.array(v).T for k, v in pairs.items()}.items():
        table.worst(group, f"{what}, {len(ours)} numbers", ours, theirs, EXACT, scale)


def check_encoders(table, group, run, encoders, means):
    """Medians, means, scales, levels and codes, and the means over train of a linear model's columns."""
    ours, theirs, levels, codes = [], [], 0, 0
    test, stored = run.rows("test"), run.matrix("test")[0]
    for at, feature in enumerate(encoders.features):
        told, (first, scaler) = feature["values"], encoders.fitted[at]
        if told["kind"] == "numeric":
            ours.append((told["fill"], told["center"], told["scale"]))
            theirs.append((first.statistics_[0], scaler.mean_[0], scaler.scale_[0]))
            continue
        names = [None if i == told["other"] else level for i, level in enumerate(told["levels"])]
        differ = set(names) ^ set(encoders.levels(at))
        levels += len(differ)
        if not differ:
            cells = encoders.column(at, test)[:, : len(names)]
            wanted = np.where(cells.any(axis=1), cells.argmax(axis=1), np.nan)
            codes += (~np.isclose(stored[:, at], wanted, atol=0, equal_nan=True)).sum()
    ours, theirs = np.array(ours).T, np.array(theirs).T
    for what, a, b in zip(["medians", "means", "scales"], ours, theirs):
        table.worst(group, f"{what} of {len(a)} numbers", a, b, SINGLE, np.maximum(np.abs(b), theirs[2]))
    table.add(group, "categories with a column on one side only", levels, 0, 0)
    table.add(group, "codes of test that differ", codes, 0, 0)
    if not levels:
        wanted = encoders.matrix(run.rows("train")).mean(axis=0)
        # A center of single precision is off by as much of the scale as it is larger than that.
        scale = np.concatenate([offset_scale(f["values"]) for f in encoders.features])
        table.worst(group, f"means over train of {len(means)} linear columns", means, wanted, SINGLE, scale)


def offset_scale(values):
    scale = np.ones(width(values))
    if values["kind"] == "numeric":
        scale[0] = max(1.0, abs(values["center"] / values["scale"]))
    return scale


def peers_linear(task, balanced):
    """At its minimum: tighter than anybody needs, so that all of the difference is ours."""
    if task == "regression":
        return Ridge(alpha=1.0, solver="cholesky")
    weights = "balanced" if balanced else None
    # Newton's method takes ten passes over the flights, where L-BFGS takes hundreds.
    return LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=100, class_weight=weights)


def check_linear(table, group, run, name, balanced=False):
    """A linear candidate beside scikit-learn's on the same matrix: encoders, minimum, metrics. Returns what it needs to
    go on: the encoders, the coefficients and scikit-learn's matrix of test."""
    found = run.candidate(name)
    features, weights, intercepts, means = linear_model(run.path("train", "model.bin", found["ordinal"]))
    train, test = run.rows("train"), run.rows("test")
    encoders = Encoders(features, train)
    if not balanced:
        check_encoders(table, group, run, encoders, means)
    x, x_test, y, y_test = encoders.matrix(train), encoders.matrix(test), run.target(train), run.target(test)
    peer = peers_linear(run.task, balanced).fit(x, y)

    def predict(margins):
        links = {"binary": lambda m: 1 / (1 + np.exp(-m)), "multiclass": lambda m: softmax(m, axis=1)}
        return links.get(run.task, lambda m: m)(margins)

    coefficients, intercept = np.atleast_2d(peer.coef_), np.atleast_1d(peer.intercept_)
    of_peer = peers_metrics(run.task, y_test, predict(x_test @ coefficients.T + intercept))
    # Our coefficients on their matrix: what is left is the rounding of ours to single precision.
    of_ours = peers_metrics(run.task, y_test, predict(x_test @ weights.T + intercepts))
    for metric in ["auc", "log_loss", "rmse", "r2"]:
        if metric in of_peer:
            tolerance = {"auc": 2e-3, "log_loss": 1e-3}.get(metric, 1e-4)
            scale = of_peer[metric] if metric == "rmse" else 1.0
            ours, theirs = found["test"][metric], of_peer[metric]
            table.add(group, f"{name}: {metric} of test", ours, theirs, tolerance, abs(ours - theirs) / scale)
            same = abs(ours - of_ours[metric]) / scale
            table.add(group, f"{name}: {metric} on scikit-learn's matrix", ours, of_ours[metric], 1e-5, same)

    # What is minimised, for each row: above the minimum by as much as the solver gave up early.
    of_class = len(y) / (len(run.classes) * np.bincount(y)) if balanced else None
    row_weights = np.ones(len(y)) if of_class is None else of_class[y]

    def objective(w, b):
        margins = x @ w.T + b
        if run.task == "regression":
            losses = 0.5 * (margins[:, 0] - y) ** 2
        elif run.task == "binary":
            losses = np.logaddexp(0, margins[:, 0]) - y * margins[:, 0]
        else:
            losses = -np.log(softmax(margins, axis=1)[np.arange(len(y)), y])
        return ((row_weights * losses).sum() + 0.5 * (w**2).sum()) / len(y)

    ours, theirs = objective(weights, intercepts), objective(coefficients, intercept)
    # Our solver ends where a step promises less than 1e-8 of the loss, which many steps may still add up to more than.
    table.add(group, f"{name}: penalised loss of train", ours, theirs, 1e-5, (ours - theirs) / abs(theirs))
    return encoders, weights, intercepts, x, x_test


def check_linear_shap(table, group, run, weights, intercepts, x, x_test):
    """explanation.json of a linear winner beside SHAP's own explainer, over the columns of each raw column."""
    of_column = [f["column"] for f in linear_model(run.path("train", "model.bin", 0))[0]
                 for _ in range(width(f["values"]))]
    background = shap.maskers.Independent(x, max_samples=len(x))
    values, base = [], []
    for w, b in zip(weights, intercepts):
        explainer = shap.LinearExplainer((w, b), background)
        values.append(explainer.shap_values(x_test))
        base.append(explainer.expected_value)
    values = np.stack(values, axis=1)
    wanted = {}
    for column in dict.fromkeys(of_column):
        own = [i for i, c in enumerate(of_column) if c == column]
        wanted[column] = np.abs(values[:, :, own].sum(axis=2)).sum(axis=1).mean()
    compare_shap(table, group, run, wanted, base, len(x_test), "shap.LinearExplainer")


def compare_shap(table, group, run, wanted, base, rows, peer, tolerance=TREES):
    found = run.json("explain", "explanation.json")
    table.add(group, f"explained rows ({peer})", found["rows"], rows, 0)
    ours = {c["column"]: c["mean_abs_shap"] for c in found["columns"]}
    scale = max(wanted.values())
    table.worst(group, f"mean |SHAP| of {len(wanted)} columns", [ours.get(c, np.nan) for c in wanted],
                list(wanted.values()), tolerance, scale)
    table.worst(group, "base of SHAP", found["base"], base, tolerance, scale)


def check_dependence(table, group, run, encoders, weights, intercepts):
    """Partial dependence of a linear winner of classes, computed anew on scikit-learn's matrix of the same rows."""
    test, ours, theirs = run.rows("test"), [], []
    for curve in run.json("explain", "explanation.json")["partial_dependence"]:
        for point in curve["points"]:
            value = point["number"] if curve["is_numeric"] else point["value"]
            rows = test.assign(**{curve["column"]: value})
            ours.append(point["means"])
            theirs.append(softmax(encoders.matrix(rows) @ weights.T + intercepts, axis=1).mean(axis=0))
    table.worst(group, f"partial dependence, {len(ours)} points", ours, theirs, SINGLE)


def margins_of(run, p):
    """Margins from probabilities; of several classes without what is common to all."""
    if run.task == "binary":
        return logit(p)
    if run.task == "multiclass":
        return np.log(p) - np.log(p).mean(axis=1, keepdims=True)
    return p


def check_export(table, group, run):
    """XGBoost loads the package's export: the SHAP values that the explanation is made of, and the same margins."""
    values, _ = run.matrix("test")
    types = ["c" if i in run.categories else "float" for i in range(len(run.features))]
    data = xgboost.DMatrix(values, feature_types=types, enable_categorical=True)
    booster = xgboost.Booster(model_file=run.path("deploy", "model.ubj"))
    booster.set_param({"nthread": 2})
    outputs = len(run.classes) if run.task == "multiclass" else 1
    contributions = booster.predict(data, pred_contribs=True).astype(np.float64).reshape(len(values), outputs, -1)
    wanted, base = run.by_column(contributions[:, :, :-1]), contributions[0, :, -1]
    compare_shap(table, group, run, wanted, base, len(values), "XGBoost's pred_contribs")
    margins = booster.predict(data, output_margin=True).astype(np.float64).reshape(len(values), outputs)
    if run.task == "multiclass":
        margins -= margins.mean(axis=1, keepdims=True)
    ours = margins_of(run, run.predictions[0])
    table.worst(group, f"margins of {len(values)} rows", ours, margins, TREES, np.ptp(margins))


def check_boosting(table, group, run):
    """LightGBM and XGBoost trained on the same features with equal settings."""
    (x, y), (x_test, y_test) = run.matrix("train"), run.matrix("test")
    found = run.candidate("boosting")
    table.add(group, "rounds that were kept", found["iterations"], 100, 0)
    settings = {
        "objective": "binary", "learning_rate": 0.1, "num_leaves": 31, "max_depth": -1, "lambda_l2": 1.0,
        "min_sum_hessian_in_leaf": 1.0, "min_data_in_leaf": 1, "max_bin": 255, "deterministic": True,
        "force_row_wise": True, "num_threads": 2, "seed": 1, "verbosity": -1,
    }
    data = lightgbm.Dataset(x, y, categorical_feature=run.categories, free_raw_data=True)
    of_lightgbm = lightgbm.train(settings, data, 100).predict(x_test, num_threads=2)
    del data
    types = ["c" if i in run.categories else "float" for i in range(len(run.features))]
    settings = {
        "objective": "binary:logistic", "tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 31,
        "max_depth": 0, "eta": 0.1, "lambda": 1.0, "min_child_weight": 1.0, "max_bin": 256, "nthread": 2, "seed": 1,
    }
    train, test = (xgboost.DMatrix(a, b, feature_types=types, enable_categorical=True)
                   for a, b in [(x, y), (x_test, y_test)])
    of_xgboost = xgboost.train(settings, train, 100).predict(test)
    for peer, p in [("LightGBM", of_lightgbm), ("XGBoost", of_xgboost)]:
        wanted = peers_metrics("binary", y_test, np.asarray(p, np.float64).reshape(-1, 1))
        for metric in ["auc", "log_loss"]:
            table.add(group, f"{metric} of test beside {peer}", found["test"][metric], wanted[metric], GROWN)


def linear(table, group, run, has_curves=False):
    encoders, weights, intercepts, x, x_test = check_linear(table, group, run, "linear")
    if run.report["winner"] == "linear":
        check_linear_shap(table, group, run, weights, intercepts, x, x_test)
    if has_curves:
        check_dependence(table, group, run, encoders, weights, intercepts)


def flights(fleet, table):
    """Yields the comparisons, each with its group."""
    example = fleet.run(EXAMPLES / "flights" / "random-split.toml")
    yield "flights", lambda group: check_statistics(table, group, example)
    yield "flights", lambda group: check_metrics(table, group, example, "boosting")
    yield "flights, linear", lambda group: linear(table, group, example)
    equal = fleet.run(derived("flights/random-split.toml", "parity-flights", EQUAL_BOOSTING + ALL_ROWS))
    yield "flights, equal", lambda group: check_metrics(table, group, equal, "boosting")
    yield "flights, equal", lambda group: check_boosting(table, group, equal)
    yield "flights, equal", lambda group: check_export(table, group, equal)


def penguins(fleet, table):
    """Yields the comparisons, each with its group."""
    example = fleet.run(EXAMPLES / "penguins" / "pipeline.toml")
    yield "penguins", lambda group: check_statistics(table, group, example)
    yield "penguins", lambda group: check_metrics(table, group, example, example.report["winner"])
    yield "penguins", lambda group: linear(table, group, example)
    # Only a winner is explained, and which of the example's candidates wins is a matter of a few rows. With the default
    # explanation, for its partial dependence.
    alone = fleet.run(derived("penguins/pipeline.toml", "parity-linear", LINEAR))
    yield "penguins, linear", lambda group: check_metrics(table, group, alone, "linear")
    yield "penguins, linear", lambda group: linear(table, group, alone, has_curves=True)
    balanced = fleet.run(derived("penguins/pipeline.toml", "parity-balanced", BALANCED))
    yield "penguins, balanced", lambda group: check_linear(table, group, balanced, "linear", balanced=True)
    trees = fleet.run(derived("penguins/pipeline.toml", "parity-penguins", EQUAL_BOOSTING + ALL_ROWS))
    yield "penguins, trees", lambda group: check_metrics(table, group, trees, "boosting")
    yield "penguins, trees", lambda group: check_export(table, group, trees)
    of_mass = {"label": "body_mass_g", "sql": "SELECT * FROM input WHERE body_mass_g IS NOT NULL"}
    mass = fleet.run(derived("penguins/pipeline.toml", "parity-mass", LINEAR + ALL_ROWS, **of_mass))
    yield "mass, linear", lambda group: check_metrics(table, group, mass, "linear")
    yield "mass, linear", lambda group: linear(table, group, mass)
    grown = fleet.run(derived("penguins/pipeline.toml", "parity-mass-trees", EQUAL_BOOSTING + ALL_ROWS, **of_mass))
    yield "mass, trees", lambda group: check_metrics(table, group, grown, "boosting")
    yield "mass, trees", lambda group: check_export(table, group, grown)


def compare(fleet, table, only):
    """Goes on after a comparison that cannot be made: the table tells of the others."""
    for part in [penguins, flights]:
        if only not in (None, part.__name__):
            continue
        try:
            for group, check in part(fleet, table):
                fleet.log(f"comparing {group}")
                try:
                    check(group)
                except Exception as failure:  # noqa: BLE001 - of any kind: the table tells of it, and the end is 1
                    if not isinstance(failure, Failure):
                        traceback.print_exc()
                    table.failed(group, failure)
        except Failure as failure:
            table.failed(part.__name__, failure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", type=Path, required=True)
    parser.add_argument("--producer", type=Path, required=True)
    parser.add_argument("--only", choices=["penguins", "flights"], help="only this example and what is derived from it")
    parser.add_argument("--folder", type=Path, help="where state is kept [default: a temporary folder]")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    for binary in (given.worker, given.producer):
        if not binary.is_file():
            sys.exit(f"parity: there is no file {binary}")
    warnings.filterwarnings("ignore", category=FutureWarning)
    started, table = time.monotonic(), Table()

    def log(text):
        print(f"parity: {time.monotonic() - started:5.0f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        compare(Fleet(given.worker.resolve(), given.producer.resolve(), folder, log), table, given.only)
    bad = [r for r in table.rows if not r["ok"]]
    if given.json:
        print(json.dumps({"rows": table.rows, "ok": not bad}))
    else:
        table.print()
        print(f"\n{len(table.rows)} comparisons, {len(bad)} beyond their tolerance")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
