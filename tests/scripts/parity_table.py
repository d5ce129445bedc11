"""The table of what is compared, for parity.py."""

import sys

import numpy as np


class Table:
    """What was compared so far."""

    def __init__(self):
        self.rows = []

    def add(self, group, what, ours, theirs, tolerance, difference=None):
        """A difference that is not a number is beyond every tolerance."""
        difference = abs(ours - theirs) if difference is None else difference
        ok = bool(difference <= tolerance)
        self.rows.append({
            "group": group, "what": what, "fleetline": float(ours), "peer": float(theirs),
            "difference": float(difference), "tolerance": tolerance, "ok": ok,
        })

    def worst(self, group, what, ours, theirs, tolerance, scale=None):
        """Of many numbers, the pair that differs most: absolutely, or as a part of `scale`."""
        ours, theirs = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
        if ours.shape != theirs.shape or not ours.size:
            return self.add(group, f"{what}: how many", ours.size, theirs.size, 0, np.inf)
        differences = np.abs(ours - theirs) / (1.0 if scale is None else scale)
        at = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
        return self.add(group, what, ours[at], theirs[at], tolerance, differences[at])

    def failed(self, group, why):
        print(f"parity: {group}: {why}", file=sys.stderr)
        self.rows.append({
            "group": group, "what": f"FAILED: {why}"[:100], "fleetline": np.nan, "peer": np.nan,
            "difference": np.nan, "tolerance": 0, "ok": False,
        })

    def print(self):
        head = f"{'':20} {'what':50} {'fleetline':>14} {'peer':>14} {'difference':>11} {'tolerance':>9}  ok"
        print(head, "-" * len(head), sep="\n")
        for r in self.rows:
            numbers = f"{r['fleetline']:>14.7g} {r['peer']:>14.7g} {r['difference']:>11.2e} {r['tolerance']:>9.0e}"
            print(f"{r['group']:20} {r['what']:50} {numbers}  {'yes' if r['ok'] else 'NO'}")
