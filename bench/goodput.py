"""Makes a result of the runs of "scripts/bench goodput": JSON, and a table for people."""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess

TOOLS = {"shared": "`shared`", "pool": "`pool`", "per-client": "`per-client`", "rust": "Rust tool"}

# What is told of a case: from one run to one number, or None where it has none.
METRICS = {
    "right_per_s": lambda run: run["right_per_s"],
    "wrong_per_s": lambda run: run["wrong_per_s"],
    "wrong_share": lambda run: share(run["wrong"], run["right"] + run["wrong"]),
    "lost_per_s": lambda run: run["lost"] / run["seconds"],
    "duplicate": lambda run: run["duplicate"],
    "p50_us": lambda run: run["latency_us"]["p50"] if run["right"] else None,
    "p99_us": lambda run: run["latency_us"]["p99"] if run["right"] else None,
    "p99_9_us": lambda run: run["latency_us"]["p99_9"] if run["right"] else None,
    "cpu_us_per_right": lambda run: share(run["process"]["cpu_us"], run["right"]),
    "peak_kib": lambda run: run["process"]["peak_kib"],
}
# Mostly zero, and then no ratio says anything.
ABSOLUTE = ("wrong_per_s", "wrong_share", "lost_per_s", "duplicate")


def share(part, whole):
    return part / whole if whole else None


def spread(values):
    """Median and range of those that are numbers."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"median": statistics.median(known), "min": min(known), "max": max(known)}


def to_rust(own, rust):
    """Of each pair of runs, the one divided by the other; None where that fails for any."""
    if len(own) != len(rust) or None in own or not all(rust):
        return None
    return spread([one / other for one, other in zip(own, rust)])


def summarize(runs):
    """One case for each kind of gateway, shape and tool; the tools in the order of TOOLS."""
    cases = {}
    for run in runs:
        key = (run["loses"], run["sockets"], run["window"], run["tool"])
        cases.setdefault(key, []).append(run)
    summary = []
    for (loses, clients, window, tool), own in cases.items():
        rust = cases.get((loses, clients, window, "rust"))
        case = {"replies_lost_in_flight": loses, "clients": clients, "window": window,
                "tool": tool, "runs": len(own)}
        for name, metric in METRICS.items():
            case[name] = spread([metric(run) for run in own])
            if rust and tool != "rust" and case[name] and name not in ABSOLUTE:
                ratio = to_rust([metric(run) for run in own], [metric(run) for run in rust])
                case[name]["to_rust"] = ratio
        summary.append(case)
    shapes = list(dict.fromkeys((loses, clients, window) for loses, clients, window, _ in cases))
    tools = list(TOOLS)
    summary.sort(key=lambda case: (
        shapes.index((case["replies_lost_in_flight"], case["clients"], case["window"])),
        tools.index(case["tool"])))
    return summary


# --- where it was measured -----------------------------------------------------------------------


def first_match(path, pattern):
    with open(path, encoding="utf-8") as file:
        found = re.search(pattern, file.read(), re.MULTILINE)
    return found.group(1) if found else "unknown"


def output_of(*command):
    return " ".join(subprocess.run(command, check=True, capture_output=True, text=True,
                                   stdin=subprocess.DEVNULL).stdout.split())


def surroundings(options):
    memory_kib = int(first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)"))
    versions = {"otoroshictl": output_of(os.path.join(options.bin, "otoroshictl"), "--version")}
    if options.rust:
        versions["rust"] = output_of(options.rust, "--version")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)$"),
        "cores": os.cpu_count(),
        "memory_mib": memory_kib // 1024,
        "kernel": platform.release(),
        "system": first_match("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        "load_average_before": options.load,
        "revision": output_of("git", "-C", os.path.dirname(__file__), "describe", "--always",
                              "--dirty"),
        "versions": versions,
    }


# --- the table -----------------------------------------------------------------------------------


def number(value, digits):
    return f"{value:,.{digits}f}"


def spread_text(values, scale, digits):
    median, least, most = (number(values[key] * scale, digits) for key in ("median", "min", "max"))
    return f"{median} [{least}..{most}]"


def ratio_text(ratio):
    return "×" + spread_text(ratio, 1, 2 if ratio["max"] < 100 else 0)


def cell(name, scale=1.0, digits=0):
    """What a column says of a case: the metric of that name, and its ratio to the Rust tool's."""
    def text(case):
        values = case[name]
        if values is None:
            return "–"
        ratio = values.get("to_rust")
        return spread_text(values, scale, digits) + (", " + ratio_text(ratio) if ratio else "")

    return text


SUBJECT = [
    ("clients × in flight", lambda case: f"{case['clients']} × {case['window']}"),
    ("tool", lambda case: TOOLS[case["tool"]]),
]
GOODPUT = SUBJECT + [
    ("right answers/s", cell("right_per_s")),
    ("wrong answers/s", cell("wrong_per_s")),
    ("wrong of all answers, %", cell("wrong_share", 100, 1)),
    ("lost/s", cell("lost_per_s", 1, 1)),
]
COSTS = SUBJECT + [
    ("p50, ms", cell("p50_us", 1e-3, 2)),
    ("p99, ms", cell("p99_us", 1e-3, 2)),
    ("p99.9, ms", cell("p99_9_us", 1e-3, 2)),
    ("processor time of the tool, µs a right answer", cell("cpu_us_per_right", 1, 1)),
    ("memory at most, MiB", cell("peak_kib", 1 / 1024, 1)),
]


def table(columns, cases):
    lines = ["| " + " | ".join(title for title, _ in columns) + " |",
             "|---|---|" + "--:|" * (len(columns) - len(SUBJECT))]
    for case in cases:
        lines.append("| " + " | ".join(text(case) for _, text in columns) + " |")
    return "\n".join(lines)


def markdown(result):
    place, cases = result["surroundings"], result["cases"]
    whole = [case for case in cases if not case["replies_lost_in_flight"]]
    lossy = [case for case in cases if case["replies_lost_in_flight"]]
    rust = (" ×: divided by the Rust tool's figure of the same run." if "rust" in place["versions"]
            else " The Rust tool was not installed.")
    return f"""\
Measured on {place['date']} with `scripts/bench goodput`. Machine: {place['processor']}, \
{place['cores']} cores, {place['memory_mib']:,} MiB, {place['system']}, Linux {place['kernel']}, \
load average before {place['load_average_before']}. Versions: \
{'; '.join(place['versions'].values())}; revision {place['revision']}. Clients, tunnel, `otoroshi-dev-gateway` and the UDP echo \
share the machine. {result['runs']} runs of each case, interleaved, {result['seconds']:g} s each \
after {result['warmup_ms']} ms of warming up; {result['payload_bytes']} bytes of payload. A \
request that is unanswered for a second is lost, and the client sends a new one. A wrong answer \
is one to another client's request. Anything else on the machine took {spread_text(result['others_cores'], 100, 0)} % of a core. Each figure is the median [least..most] of the runs.{rust}

**The gateway loses no reply**

{table(GOODPUT, whole)}

{table(COSTS, whole)}

**The gateway loses replies in flight, as Otoroshi does** (`--drop-in-flight`)

{table(GOODPUT, lossy)}

{table(COSTS, lossy)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("runs", "bin", "rust", "load", "json", "markdown"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--warmup-ms", type=int, required=True)
    options = parser.parse_args()
    with open(options.runs, encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    result = {
        "benchmark": "goodput",
        "surroundings": surroundings(options),
        "runs": max(run["seed"] for run in runs),
        "seconds": round(statistics.median(run["seconds"] for run in runs), 1),
        "warmup_ms": options.warmup_ms,
        "others_cores": spread([
            max(0, run["others_ticks"]) / 100 / (run["seconds"] + options.warmup_ms / 1000)
            for run in runs]),
        "payload_bytes": runs[0]["payload_bytes"],
        "cases": summarize(runs),
    }
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1, ensure_ascii=False)
        file.write("\n")
    with open(options.markdown, "w", encoding="utf-8") as file:
        file.write(markdown(result))


if __name__ == "__main__":
    main()
