"""The case that ``gateway cases new`` writes: small, commented, and right as it stands."""

from __future__ import annotations

from pathlib import Path

from gateway.cases.folder import CaseFile, write_folder
from gateway.errors import Conflict

CASE = """\
# A case is this folder: what people can set, and what a job does with it.
# Check it after each change: gateway cases check {name}
name: {name}
label: {label}
description: |
  Draws samples from a distribution and tells their mean. *Markdown* says here what the case is good for.

# How values get into templates: braces (`{{samples}}`) or mako (`${{samples}}`, with conditions and sums).
syntax: braces

# What people set, in groups. Types: float, int, bool, choice, text, file.
# Without a default a value must be given.
families:
  - label: Sampling
    parameters:
      - name: samples
        label: Number of samples
        type: int
        default: 10000
        min: 100
        max: 1000000
      - name: spread
        label: Spread
        help: Standard deviation of the samples.
        type: float
        unit: m
        default: 0.5
        min: 0
        max: 10
        step: 0.1             # from min, in decimals
  - label: Reproducibility
    collapse: true            # closed at first
    parameters:
      - name: fixed
        label: Draw the same samples each time
        type: bool
        default: true
      - name: seed
        label: Seed
        type: int
        default: 1
        min: 0
        max: 2147483647
        enabled_if: {{fixed: true}}
      - name: comment
        label: Comment
        type: text
        default: ""
        max_length: 200

# Files in the job's folder: `template` is filled in, `static` is copied, `parameter` is what a person gives.
inputs:
  - path: settings.txt
    template: settings.txt
  - path: sample.awk
    static: sample.awk

# A recipe that the gateway builds once (gateway cases build {name}), or an address:
# image: {{ref: "https://images.example.org/sampler.sif", digest: "sha256:…"}}
image: image/recipe.yaml

# The program and its arguments, in the image, in the job's folder. No shell reads them.
command: [mawk, -f, sample.awk, settings.txt]
env:
  SAMPLES: "{{samples}}"

# For one job, per node. Texts can hold values.
resources:
  cpus: 1
  memory: 256M
  walltime: "00:10:00"

outputs:
  - source: means.csv
  - source: log.sample
    content_type: text/plain
    follow: true

# How far it is: the last line that matches. One group gives the value; the ends can be parameters.
progress:
  file: log.sample
  pattern: "^sample ([0-9]+)$"
  min: 0
  max: samples

# Tables that grow while it runs, for plots.
data:
  - name: mean
    label: Mean of the samples
    file: means.csv
    x: samples
    columns:
      - {{name: samples, label: Samples}}
      - {{name: mean, label: Mean, unit: m}}
"""

SETTINGS = """\
samples {samples}
spread {spread}
fixed {fixed}
seed {seed}
# {comment}
"""

SAMPLE = """\
# Draws samples and writes their mean as it goes.
{ setting[$1] = $2 }
END {
  if (setting["fixed"] == "true") srand(setting["seed"]); else srand()
  print "samples,mean" > "means.csv"
  for (i = 1; i <= setting["samples"]; i++) {
    sum += setting["spread"] * sqrt(-2 * log(1 - rand())) * cos(6.283185307 * rand())
    if (i % 100 == 0) {
      print i "," sum / i > "means.csv"
      print "sample " i > "log.sample"
      fflush("means.csv")
      fflush("log.sample")
    }
  }
}
"""

RECIPE = """\
# The image: which Debian packages it has, and which files of this folder (paths from the case's folder).
name: {name}
suite: bookworm
packages:
  - mawk
"""


def write_example(name: str, folder: Path) -> None:
    """Write an example case into a new folder.

    Raises
    ------
    Conflict
        Something is there already.
    """
    label = name.replace("-", " ").replace("_", " ").replace(".", " ").strip().capitalize() or name
    texts = {
        "case.yaml": CASE.format(name=name, label=label),
        "settings.txt": SETTINGS,
        "sample.awk": SAMPLE,
        "image/recipe.yaml": RECIPE.format(name=name),
    }
    if folder.exists() or folder.is_symlink():
        raise Conflict(f"{folder} is there already", hint="take another name, or remove it first")
    write_folder({path: CaseFile(text.encode()) for path, text in texts.items()}, folder)
