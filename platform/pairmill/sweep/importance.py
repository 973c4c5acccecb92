"""How much each value of the space matters: PED-ANOVA (arXiv 2304.10255) by Optuna, over the trials that are done."""

from __future__ import annotations

from typing import Any

from pairmill.spec.sweep import SweepSpec

#: With fewer trials a share would be noise.
LEAST_TRIALS = 8


def of(spec: SweepSpec, trials: list[dict[str, Any]]) -> dict[str, float] | None:
    """Shares by path, the largest first, sum 1; None where there is too little to say. Values that only some trials
    have are left out."""
    done = [trial for trial in trials if trial["state"] == "done" and trial["objective"] is not None]
    if not spec.space or len(done) < LEAST_TRIALS or len({trial["objective"] for trial in done}) == 1:
        return None
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    always = [path for path in spec.space if all(path in trial["values"] for trial in done)]
    distributions = {
        path: _distribution(optuna, spec, path, [trial["values"][path] for trial in done]) for path in always
    }
    study = optuna.create_study(direction="maximize" if spec.objective.best == "max" else "minimize")
    for trial in done:
        params = {path: _coded(spec, path, trial["values"][path]) for path in always}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=trial["objective"]))
    varied = [path for path in always if len({str(trial["values"][path]) for trial in done}) > 1]
    if not varied:
        return None
    found = optuna.importance.get_param_importances(
        study, params=varied, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    return {path: round(float(share), 4) for path, share in found.items()}


def _coded(spec: SweepSpec, path: str, value: Any) -> Any:
    draw = spec.space[path]
    return (draw.values or []).index(value) if draw.kind in ("choice", "grid") else value


def _distribution(optuna: Any, spec: SweepSpec, path: str, values: list[Any]) -> Any:
    draw, known = spec.space[path], optuna.distributions
    if draw.kind in ("choice", "grid"):
        return known.CategoricalDistribution(list(range(len(draw.values or []))))
    low, high = getattr(draw, draw.kind)
    if draw.kind == "int":
        return known.IntDistribution(low, high, step=draw.step or 1)
    return known.FloatDistribution(low, high, log=draw.kind == "log_uniform", step=draw.step)
