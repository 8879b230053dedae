"""A benchmark's figures as text between two marks of a document, and as a picture."""

from pathlib import Path
from typing import Any

from cath_perception.errors import CathError

PEER = "eager"


def speed_up(figures: dict[str, Any], name: str, of: str = "ms") -> float | None:
    """How many times as fast as eager float32 PyTorch in the same run, by medians of wall or CPU time; None where
    either was not measured."""
    medians = {entry["name"]: entry[of]["p50"] for entry in figures["network"] if of in entry}
    return medians[PEER] / medians[name] if PEER in medians and name in medians else None


def markdown(figures: dict[str, Any]) -> str:
    """The tables of ``docs/performance.md``."""
    return "\n\n".join(
        [_conditions(figures), _networks(figures), _roofline(figures), _stages(figures), _node(figures)]
    )


def write_report(path: Path, name: str, figures: dict[str, Any]) -> None:
    """Replace what is between the marks ``<!-- NAME: begin -->`` and ``end``; CathError where there are none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise CathError(f"{path}: expected the lines {begin} and {end}, between which the figures go")
    path.write_text(f"{before}{begin}\n{markdown(figures)}\n{end}{after}", encoding="utf-8")


def _conditions(figures: dict[str, Any]) -> str:
    machine, model, (width, height) = figures["machine"], figures["model"], figures["image"]
    gpu = machine["gpu"]
    packages = ", ".join(f"{name} {of}" for name, of in machine["packages"].items() if of)
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    where = f"{cores} of {machine['cpu']}, {machine['memory_gb']:g} GB"
    where += f"; {gpu['name']}, driver {gpu['driver']}" if gpu else "; no GPU"
    return (
        f"Measured {figures['made']} on {where}; load before the run {machine['load_before']:g}. Model "
        f"`{model['name']}` (weights {model['weights_sha256'][:12]}), frames of {width} x {height} px. {packages}."
    )


def _networks(figures: dict[str, Any]) -> str:
    rows = []
    for entry in figures["network"]:
        if "ms" not in entry:
            rows.append([entry["name"], f"refused: {entry['refused']}", *[""] * 9])
            continue
        faster = [speed_up(figures, entry["name"], of) for of in ("ms", "cpu_ms")]
        gpu = entry.get("gpu_memory_mb")
        rows.append(
            [
                entry["name"],
                entry["description"],
                _short(entry["ms"]["best"]),
                *_three(entry["ms"]),
                _short(entry["cpu_ms"]["p50"]),
                *(f"{times:.2f}" if times else "" for times in faster),
                f"{entry['memory_mb']:.0f}" if "memory_mb" in entry else "",
                f"{gpu:.0f}" if gpu is not None else "",
            ]
        )
    head = ["network", "what", "best ms", "p50 ms", "p95 ms", "p99 ms", "CPU p50 ms"]
    head += ["times eager", "by CPU", "memory MB", "GPU MB"]
    return "**Network and decoding**, in turns on the same frames:\n\n" + _table(head, rows)


def _roofline(figures: dict[str, Any]) -> str:
    roof = figures["roofline"]
    rows = [
        [
            peak["device"],
            peak["precision"],
            f"{peak['flops'] * 1e-9:.0f}",
            f"{peak['bytes'] * 1e-9:.1f}",
            _short(peak["arithmetic_ms"]),
            _short(peak["traffic_ms"]),
            peak["bound"],
        ]
        for peak in roof["peaks"]
    ]
    head = ["device", "type", "GFLOP/s", "GB/s", "arithmetic ms", "traffic ms", "bound by"]
    return (
        f"**Roofline**: {roof['gflop']:g} GFLOP a frame, {roof['weights'] * 1e-6:.2f} M weights and "
        f"{roof['activations'] * 1e-6:.2f} M activations moved. Against what a large matrix product and a large copy "
        "reach here, the network cannot be faster than:\n\n" + _table(head, rows)
    )


def _stages(figures: dict[str, Any]) -> str:
    rows = []
    for entry in figures["stages"]:
        if "refused" in entry:
            continue
        name = entry["backend"].split(" (")[0]
        rows += [[name, stage, *_three(ms)] for stage, ms in entry["stages_ms"].items()]
        rows.append([name, "all but the network", *_three(entry["all_but_network_ms"])])
    return "**Stages of perception**, one process:\n\n" + _table(
        ["backend", "stage", "p50 ms", "p95 ms", "p99 ms"], rows
    )


def _node(figures: dict[str, Any]) -> str:
    rows = [
        [
            run["backend"].split(" (")[0],
            "highest" if run["highest"] else f"{run['rate_hz']:g}",
            *_three(run["publish_to_receive_ms"]),
            _short(run["node_less_network_ms"]["p50"]),
            f"{run['missed']} of {run['frames']}",
            f"{run['answered_hz']:g}",
            f"{run['cpu_cores']:g}",
            f"{run['memory_mb']:.0f}",
            f"{run['gpu_memory_mb']:.0f}" if "gpu_memory_mb" in run else "",
        ]
        for run in figures["node"]
    ]
    head = ["backend", "Hz", "p50 ms", "p95 ms", "p99 ms", "all but network p50 ms", "missed"]
    head += ["answered/s", "CPU cores", "memory MB", "GPU MB"]
    return "**Through the node over DDS**, image published to electrodes received:\n\n" + _table(head, rows)


def _three(ms: dict[str, float]) -> list[str]:
    return [_short(ms[name]) for name in ("p50", "p95", "p99")]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def plot(path: Path, figures: dict[str, Any]) -> None:
    """Medians with a line to p99, of the networks and of the node at each rate, as a PNG."""
    from matplotlib.figure import Figure

    ran = [(entry["name"], entry["ms"]) for entry in figures["network"] if "ms" in entry]
    through = [
        (
            f"{run['backend'].split(' (')[0]}, {'highest rate' if run['highest'] else format(run['rate_hz'], 'g') + ' Hz'}",
            run["publish_to_receive_ms"],
        )
        for run in figures["node"]
    ]
    figure = Figure(figsize=(9, 1.6 + 0.4 * max(len(ran), len(through))), layout="constrained")
    titles = ("network and decoding", "published to received, over DDS")
    for axes, title, bars in zip(figure.subplots(1, 2), titles, (ran, through), strict=True):
        names, medians = [name for name, _ in bars], [ms["p50"] for _, ms in bars]
        axes.barh(names, medians, color="#4477aa")
        axes.hlines(names, medians, [ms["p99"] for _, ms in bars], color="#222222")
        axes.invert_yaxis()
        axes.set_title(title)
        axes.set_xlabel("ms: median, and line to p99")
    figure.savefig(path, dpi=110)
