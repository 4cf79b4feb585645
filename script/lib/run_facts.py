#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_facts.py REPORT.json [without-time]: what a report of `skep run --json` says of the packets, maps and events, without who ran them and how long that took; with the second word also without the times that programs put into
their events. One JSON value a line, in a fixed order: two engines agree if the outputs are equal."""
import json
import sys

ABOUT_THE_ENGINE = {"engine", "verified", "timing"}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if not key.endswith("time_ns")}
    if isinstance(value, list):
        return [without_times(part) for part in value]
    return value


def facts(report, times):
    for key in sorted(report):
        if key in ABOUT_THE_ENGINE:
            continue
        value = report[key] if times else without_times(report[key])
        for part in value if isinstance(value, list) else [value]:
            yield f"{key}: {json.dumps(part, sort_keys=True)}"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print("\n".join(facts(json.load(file), sys.argv[2:] != ["without-time"])))
