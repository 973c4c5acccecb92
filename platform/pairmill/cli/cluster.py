"""`pairmill render`: the files that bring up a cluster for a spec."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pairmill.cli.options import DEFAULT_STORAGE, Sets, SpecFile, StorageUri, say, write_file
from pairmill.errors import SpecError


def _option(help_: str, **more: Any) -> Any:
    return typer.Option(help=help_, **more)


def _size(text: str | None, option: str) -> int | None:
    from pairmill.spec.base import parse_bytes

    try:
        return None if text is None else parse_bytes(text)
    except ValueError as error:
        raise SpecError(f"{option} {text}: {error}.") from None


def _pair(text: str, option: str, content: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise SpecError(f"{option} {text}: write {content}.")
    return name, value


def render(
    spec: SpecFile,
    to: Annotated[str, typer.Option("--to", help="kuberay (a job), kuberay-cluster (one that stays) or vm (ray up).")],
    image: Annotated[str, typer.Option(help="Made by cluster/image/Dockerfile.")] = "pairmill:latest",
    sets: Sets = [],  # noqa: B006 - typer reads the default, nothing changes it
    storage: StorageUri = DEFAULT_STORAGE,
    name: Annotated[str | None, typer.Option(help="Of the objects. Default: pairmill- and the spec's name.")] = None,
    workers: Annotated[int | None, _option("So many, no fewer and no more.", min=1)] = None,
    min_workers: Annotated[int, _option("Fewest workers of a group.", min=1)] = 1,
    max_workers: Annotated[int, _option("Most workers of a group.", min=1)] = 10,
    gpu_workers: Annotated[int | None, _option("Most GPU workers. Default: as the spec.", min=1)] = None,
    cpus: Annotated[int, _option("CPUs of a worker.", min=1)] = 15,
    gpus: Annotated[int | None, _option("GPUs of a GPU worker. Default: as the spec.", min=1)] = None,
    large_memory: Annotated[str | None, _option("Of one task for all duplicates.", metavar="SIZE")] = None,
    rank_memory: Annotated[str | None, _option("Of a training rank: 8GB, by a GPU 32GB.", metavar="SIZE")] = None,
    spill: Annotated[str, _option("Disk of a worker for what Ray spills.", metavar="SIZE")] = "10GB",
    env: Annotated[list[str], _option("Set this variable of yours on all nodes.", metavar="NAME")] = [],  # noqa: B006
    namespace: Annotated[str | None, _option("Default: the one you are in.")] = None,
    env_secret: Annotated[list[str], _option("A secret whose keys become variables.", metavar="SECRET")] = [],  # noqa: B006
    volume: Annotated[list[str], _option("A shared claim (vm: a directory) to mount.", metavar="CLAIM:PATH")] = [],  # noqa: B006
    service_account: Annotated[str | None, _option("One that exists. Default: it is made.")] = None,
    token_secret: Annotated[
        str | None, _option("Holds auth_token. Default: KubeRay makes one.", metavar="SECRET")
    ] = None,
    queue: Annotated[str | None, _option("A local queue of Kueue, which starts it.")] = None,
    priority_class: Annotated[str | None, _option("Of the pods.")] = None,
    spill_class: Annotated[
        str | None, _option("Storage class of a volume to spill to. Default: the node's disk.")
    ] = None,
    ttl: Annotated[int, _option("Seconds after which a finished job goes.", min=0)] = 3600,
    backoff_limit: Annotated[int, _option("How often a failed job is started again: it resumes.", min=0)] = 2,
    egress_port: Annotated[list[int], _option("Pods may reach this port too.", min=1, max=65535)] = [],  # noqa: B006
    monitoring: Annotated[str, _option("The namespace of Prometheus.", metavar="NAMESPACE")] = "monitoring",
    provider: Annotated[str, _option("vm: aws, gcp or local (machines that are there).")] = "aws",
    region: Annotated[str | None, _option("vm: aws, gcp.")] = None,
    zone: Annotated[str | None, _option("vm: gcp.")] = None,
    project: Annotated[str | None, _option("vm: gcp.")] = None,
    machine: Annotated[list[str], _option("vm: type of machine of a group.", metavar="GROUP=TYPE")] = [],  # noqa: B006
    head_ip: Annotated[str | None, _option("vm: local.")] = None,
    worker_ip: Annotated[list[str], _option("vm: local. May be repeated.")] = [],  # noqa: B006
    ssh_user: Annotated[str, _option("vm: who Ray logs in as.")] = "ubuntu",
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write here; default: print.")] = None,
) -> None:
    """Write the files that bring up a cluster for a spec: KubeRay manifests, or a configuration for ray up."""
    from pairmill.cluster import environment, submission
    from pairmill.cluster.render import files, vm
    from pairmill.cluster.render import options as given

    if to not in files.TARGETS:
        raise SpecError(f"--to {to!r} is unknown. Allowed: {', '.join(files.TARGETS)}.")
    if provider not in ("aws", "gcp", "local"):
        raise SpecError(f"--provider {provider!r} is unknown. Allowed: aws, gcp, local.")
    if max_workers < min_workers and workers is None:
        raise SpecError(f"--max-workers {max_workers} is less than --min-workers {min_workers}.")
    written, loaded = submission.read(spec, sets)
    options = given.Options(
        name=given.check_name(name or given.cluster_name(loaded.spec.name)),
        image=image,
        storage=storage,
        namespace=namespace,
        min_workers=workers or min_workers,
        max_workers=workers or max_workers,
        gpu_workers=gpu_workers,
        cpus=cpus,
        gpus=gpus,
        large_memory=_size(large_memory, "--large-memory"),
        rank_memory=_size(rank_memory, "--rank-memory"),
        env=tuple(environment.forwarded(env).items()),
        env_secrets=tuple(env_secret),
        volumes=tuple(given.volume(text) for text in volume),
        service_account=service_account,
        token_secret=token_secret,
        queue=queue,
        priority_class=priority_class,
        spill=_size(spill, "--spill") or 0,
        spill_class=spill_class,
        ttl=ttl,
        backoff_limit=backoff_limit,
        egress_ports=tuple(egress_port),
        monitoring=monitoring,
    )
    machines = tuple(_pair(text, "--machine", "GROUP=TYPE") for text in machine)
    place = vm.Place(provider, region, zone, project, head_ip, tuple(worker_ip), ssh_user, machines)
    text = files.render(loaded, loaded.yaml() if sets else written, to, options, place)
    for line in files.warnings(loaded, to, options):
        say(f"note: {line}")
    if output is None:
        print(text, end="")
    else:
        write_file("--output", output, text)
