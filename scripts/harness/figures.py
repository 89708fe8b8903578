# SPDX-License-Identifier: GPL-2.0-only
"""The rows that selftests/bench/run measures: as a table, as the file of figures, and held against that file.

A row says what one operation costs, in instructions, on the stock module and on ours:
  name, vendor, kernel; exact (it repeats to the digit); kvm, ostler, ratio;
  dear: of the instructions that are dear on silicon those that occur, by kind, with a count of each node;
  dear_worse: the kinds of which we execute more.
A row of memory has name, vendor, kernel, unit, kvm and ostler.
"""

import json

from . import cache

FILE = cache.REPO / "selftests" / "bench" / "figures.json"
DOCUMENT = cache.REPO / "docs" / "performance.md"
VENDORS = {"amd": "AMD", "intel": "Intel"}
NODES = ("kvm", "ostler")
_BEGIN, _END = "<!-- figures: written by make bench SAVE=1 -->\n", "<!-- end of figures -->"
_GROWTH = 1.03              # what a row may cost more than it did
# A batch may fall before or behind something that happens once a while; that much of an operation is none.
_SLACK = 0.1


def row(name, vendor, kernel, exact, nodes):
    """A row; `nodes` has what each node executes for an operation, by kind, "total" among them."""
    kvm, ostler = (nodes[node] for node in NODES)
    dear = {kind: {node: round(nodes[node][kind], 2) for node in NODES}
            for kind in kvm if kind != "total" and (round(kvm[kind], 2) or round(ostler[kind], 2))}
    slack = _SLACK if exact else 1
    return {"name": name, "vendor": vendor, "kernel": kernel, "exact": exact,
            "kvm": round(kvm["total"], 1), "ostler": round(ostler["total"], 1),
            "ratio": round(ostler["total"] / kvm["total"], 3), "dear": dear,
            "dear_worse": [kind for kind, count in dear.items()
                           if count["ostler"] > 1.01 * count["kvm"] + slack]}


def _place(entry):
    return entry["vendor"], entry["kernel"]


def places(figures):
    """The (vendor, kernel) that there are rows of, in order."""
    return list(dict.fromkeys(_place(entry) for entry in figures["rows"] + figures["memory"]))


def _dear(entry):
    """How many dear instructions on each node, then the kinds that differ."""
    sums = [sum(count[node] for count in entry["dear"].values()) for node in NODES]
    kinds = [f"{'!' if kind in entry['dear_worse'] else ''}{kind} {round(count['kvm'], 1):g}:{round(count['ostler'], 1):g}"
             for kind, count in entry["dear"].items() if abs(count["kvm"] - count["ostler"]) > _SLACK]
    return f"{round(sums[0]):>9}{round(sums[1]):>9}  {' '.join(kinds)}".rstrip()


def table(figures, place):
    """The lines of the tables of one vendor and kernel."""
    title = f"{VENDORS[place[0]]}, kernel {place[1]}"
    rows = [entry for entry in figures["rows"] if _place(entry) == place]
    memory = [entry for entry in figures["memory"] if _place(entry) == place]
    lines = []
    if rows:
        lines += [f"{title}: instructions for an operation; how many dear ones, and the kinds that differ", "",
                  f"{'':<18}{'kvm':>11}{'ostler':>11}{'ratio':>7}{'kvm':>9}{'ostler':>9}"]
    lines += [f"{entry['name']:<18}{entry['kvm']:>11.0f}{entry['ostler']:>11.0f}{entry['ratio']:>7.2f}{_dear(entry)}"
              for entry in rows]
    if memory:
        lines += [""] * bool(rows)
        lines += [f"{title}: KiB of memory for an idle guest of 2 vCPUs and 512 MiB", "",
                  f"{'':<18}{'kvm':>11}{'ostler':>11}"]
    lines += [f"{entry['name']:<18}{entry['kvm']:>11}{entry['ostler']:>11}" for entry in memory]
    return lines


def saved():
    """The figures in the file."""
    if not FILE.exists():
        return {"rows": [], "memory": []}
    return json.loads(FILE.read_text(encoding="utf-8"))


def save(figures):
    """Put rows into the file, in the place of those of the same name there, and all tables into the document."""
    result = {}
    for part, before in saved().items():
        rows = {(*_place(entry), entry["name"]): entry for entry in before}
        rows.update({(*_place(entry), entry["name"]): entry for entry in figures[part]})
        result[part] = list(rows.values())
    FILE.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = DOCUMENT.read_text(encoding="utf-8")
    head, begun, rest = text.partition(_BEGIN)
    _, ended, tail = rest.partition(_END)
    if not (begun and ended):
        raise cache.Failure(f"{DOCUMENT} has lost the lines between which its tables are")
    tables = "".join("\n```\n" + "\n".join(table(result, place)) + "\n```\n" for place in sorted(places(result)))
    DOCUMENT.write_text(head + begun + tables + "\n" + ended + tail, encoding="utf-8")


def grown(vendor, kernel, measured):
    """What our module costs more than in the file, a line each; `measured` has rows' counts, by name."""
    before = {entry["name"]: entry for entry in saved()["rows"] if _place(entry) == (vendor, kernel)}
    lines = []
    for name, counts in measured.items():
        where = f"{vendor} {kernel} {name}"
        entry = before.get(name)
        if not entry:
            lines.append(f"{where}: not in {FILE.name}, into which make bench SAVE=1 puts it")
            continue
        if counts["total"] > _GROWTH * entry["ostler"]:
            lines.append(f"{where}: {counts['total']:.1f} instructions, were {entry['ostler']}")
        for kind, count in counts.items():
            were = entry["dear"].get(kind, {}).get("ostler", 0)
            if kind != "total" and count > were + _SLACK:
                lines.append(f"{where}: {count:.2f} of {kind}, were {were}")
    return lines
