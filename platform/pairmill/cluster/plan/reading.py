"""The plans of jobs that read kept rows and no more: curate on a run, and tokenizer."""

from __future__ import annotations

from pairmill.cluster.plan import texts
from pairmill.cluster.plan.base import Context, Plan, Rows, Stage
from pairmill.cluster.plan.models import Facts
from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.spec.derived import DerivedSpec
from pairmill.spec.tokenizer import TokenizerSpec

FILE_ROWS = 100_000  # kept rows of a file, the unit of several stages, where the run is not there yet


def plan_derived(spec: DerivedSpec, context: Context) -> Plan:
    """`kind: curate` on a run: a select, file by file."""
    plan = Plan("curate", spec.name)
    sheet = plan.sheet
    sheet.section = "select"
    read = texts.of_run(spec.inputs[0].run, None, None, None, context)
    rows, text = sheet.known(read.rows), sheet.known(read.text)
    rate = context.rates.rate("select", text.value)
    cpu = sheet.product("select: CPU", "CPU-s", rows, rate, source=rate.source)
    stored = sheet.product("bytes read", "B", rows, quantity("", 0.4 * text.value + 40, "B/row", "", 1.25))
    share = Quantity(
        "kept share", 0.8, "share", 0.3, 1.0, "", "assumed: what scores reject is known when they are there"
    )
    kept = sheet.product("kept rows", "rows", rows, share, source=share.source)
    want = spec.resources
    units = max(1.0, rows.value / FILE_ROWS)
    plan.stages.append(
        Stage("select", cpu, units, want.memory_per_task, want.cpus_per_task, 2 * stored.value, requests=6 * units)
    )
    plan.figures += [rows, stored, cpu, kept]
    plan.rows = Rows(kept, text)
    return plan


def plan_tokenizer(spec: TokenizerSpec, context: Context) -> Plan:
    plan = Plan("tokenizer", spec.name)
    sheet = plan.sheet
    sheet.section = "text"
    read = [texts.of_run(given.run, given.sources, given.languages, None, context) for given in spec.inputs]
    sizes = [sheet.product("text", "B", sheet.known(one.rows), one.text) for one in read]
    text = sheet.total("text read", "B", *sizes)
    rate = context.rates.constant("tokenizer: count")
    counted = sheet.product("count and draw: CPU", "CPU-s", text, rate, source=rate.source)
    sample = quantity("sample", min(float(spec.sample), text.value), "B", "sample, or all there is")
    learn = context.rates.constant("tokenizer: train")
    trained = sheet.product("train: CPU", "CPU-s", sheet.known(sample), learn, source=learn.source)
    memory = sheet.given("memory of the training task", 6.0 * spec.sample, "B", "6 x sample: model/tokenizer_stages.py")
    want = spec.resources
    units = max(1.0, sum(one.rows.value for one in read) / FILE_ROWS)
    reserve = (float(want.memory_per_task), want.cpus_per_task)
    plan.stages.append(Stage("tokenizer: count and draw", counted, 2 * units, *reserve, moved=2 * 0.4 * text.value))
    plan.stages.append(Stage("tokenizer: train", trained, 1, max(memory.value, want.memory_per_task)))
    cpu = sheet.total("CPU", "CPU-s", counted, trained)
    plan.figures += [text, cpu, memory]
    context.models[spec.name] = Facts(
        spec.name, 0, 0, 1, 1, 1, False, spec.max_length, spec.vocabulary, "the tokenizer to be made", 4.0
    )
    return plan
