"""What the peers of parity.py say: metrics by scikit-learn's names for ours, and scikit-learn's encoders as a feature
program uses its own."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn import metrics
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

# The defaults of `transform`: rarer categories are one, and so are those beyond the most frequent.
MIN_ROWS, MAX_CATEGORIES = 20, 255


def delong(y, p):
    """The 95 % interval of an AUC by the ranks within and across the classes (Sun and Xu 2014)."""
    above, below = p[y == 1], p[y == 0]
    m, n = len(above), len(below)
    ranks = rankdata(np.concatenate([above, below]))
    v10 = (ranks[:m] - rankdata(above)) / n
    v01 = 1 - (ranks[m:] - rankdata(below)) / m
    half = 1.959963984540054 * np.sqrt(v10.var(ddof=1) / m + v01.var(ddof=1) / n)
    return v10.mean() - half, v10.mean() + half


def calibration_error(y, p):
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs((p[bins == b] - y[bins == b]).sum()) for b in range(10)]
    return sum(gaps) / len(p)


def peers_metrics(task, y, p):
    if task == "regression":
        p = p[:, 0]
        return {
            "rmse": metrics.root_mean_squared_error(y, p),
            "mae": metrics.mean_absolute_error(y, p),
            "r2": metrics.r2_score(y, p),
            "median_absolute_error": metrics.median_absolute_error(y, p),
            "mape": metrics.mean_absolute_percentage_error(y, p),
        }
    if task == "multiclass":
        said = p.argmax(axis=1)
        return {
            "log_loss": metrics.log_loss(y, p, labels=range(p.shape[1])),
            "accuracy": metrics.accuracy_score(y, said),
            "macro_f1": metrics.f1_score(y, said, average="macro"),
            "balanced_accuracy": metrics.balanced_accuracy_score(y, said),
        }
    p = p[:, 0]
    said = (p >= 0.5).astype(int)
    return {
        "auc": metrics.roc_auc_score(y, p),
        "pr_auc": metrics.average_precision_score(y, p),
        "log_loss": metrics.log_loss(y, p),
        "brier": metrics.brier_score_loss(y, p),
        "accuracy": metrics.accuracy_score(y, said),
        "f1": metrics.f1_score(y, said),
        "precision": metrics.precision_score(y, said),
        "recall": metrics.recall_score(y, said),
        "mcc": metrics.matthews_corrcoef(y, said),
        "ece": calibration_error(y, p),
    }


def width(values):
    return (1 if values["kind"] == "numeric" else len(values["levels"])) + values["indicator"]


class Encoders:
    """scikit-learn's encoders, fitted on train as fleetline's program is, and the matrix of a linear model."""

    def __init__(self, features, train):
        self.features, self.fitted = features, []
        for feature in features:
            values = self._values(feature, train)
            if feature["values"]["kind"] == "numeric":
                imputer = SimpleImputer(strategy="median").fit(values)
                self.fitted.append((imputer, StandardScaler().fit(imputer.transform(values))))
            else:
                encoder = OneHotEncoder(
                    min_frequency=MIN_ROWS, max_categories=MAX_CATEGORIES + 1, sparse_output=False,
                    handle_unknown="infrequent_if_exist",
                )
                self.fitted.append((encoder.fit(values[~pd.isna(values[:, 0])]), None))

    @staticmethod
    def _values(feature, frame):
        values = frame[feature["column"]]
        if feature["values"]["kind"] == "numeric":
            # Features are of single precision.
            return values.astype(np.float32).to_numpy(np.float64).reshape(-1, 1)
        return values.astype(object).to_numpy(copy=True).reshape(-1, 1)

    def levels(self, at):
        """By column of the encoder: the category, or None for all rare ones."""
        encoder = self.fitted[at][0]
        rare = encoder.infrequent_categories_[0]
        rare = set() if rare is None else set(rare)
        frequent = [c for c in encoder.categories_[0] if c not in rare]
        return frequent + ([None] if rare else [])

    def column(self, at, frame):
        """The columns of a feature, in fleetline's order."""
        feature, (first, scaler) = self.features[at], self.fitted[at]
        values, told = self._values(feature, frame), feature["values"]
        missing = pd.isna(values[:, 0])
        if told["kind"] == "numeric":
            cells = scaler.transform(first.transform(values))
        else:
            levels = self.levels(at)
            names = [None if i == told["other"] else level for i, level in enumerate(told["levels"])]
            values[missing, 0] = first.categories_[0][0]
            cells = first.transform(values)[:, [levels.index(name) for name in names]]
            cells[missing] = 0
        return np.hstack([cells, missing.reshape(-1, 1)]) if told["indicator"] else cells

    def matrix(self, frame):
        return np.hstack([self.column(at, frame) for at in range(len(self.features))])
