"""Files that a run leaves: those of OpenFOAM's cavity tutorial and of its foamToVTK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from flow import LENGTH, LID_SPEED, Array, Cavity
from parameters import Parameters

DEPTH = 0.01  # thickness of the one layer of cells, m: OpenFOAM meshes are three-dimensional

U_WALLS = """    movingWall
    {
        type            fixedValue;
        value           uniform (1 0 0);
    }
    fixedWalls
    {
        type            noSlip;
    }
    frontAndBack
    {
        type            empty;
    }
"""
P_WALLS = """    movingWall
    {
        type            zeroGradient;
    }
    fixedWalls
    {
        type            zeroGradient;
    }
    frontAndBack
    {
        type            empty;
    }
"""


def _publish(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _dictionary(kind: str, location: str, name: str, body: str) -> str:
    return (
        "FoamFile\n{\n    version     2.0;\n    format      ascii;\n"
        f'    class       {kind};\n    location    "{location}";\n    object      {name};\n}}\n\n{body}\n'
    )


def _field(name: str, kind: str, dimensions: str, when: str, rows: list[str], walls: str) -> str:
    values = "\n".join(rows)
    body = (
        f"dimensions      {dimensions};\n\n"
        f"internalField   nonuniform List<{kind}>\n{len(rows)}\n(\n{values}\n)\n;\n\n"
        f"boundaryField\n{{\n{walls}}}\n"
    )
    return _dictionary(f"vol{kind.capitalize()}Field", when, name, body)


def _vtk(title: str, axes: tuple[Array, Array, Array], pressure: list[str], velocity: list[str]) -> str:
    """Legacy VTK text: a rectilinear grid with the cell data p and U."""
    names = ("X_COORDINATES", "Y_COORDINATES", "Z_COORDINATES")
    grid = "\n".join(
        f"{name} {axis.size} float\n{' '.join(_text(axis))}" for name, axis in zip(names, axes, strict=True)
    )
    return (
        f"# vtk DataFile Version 3.0\n{title}\nASCII\nDATASET RECTILINEAR_GRID\n"
        f"DIMENSIONS {' '.join(str(axis.size) for axis in axes)}\n{grid}\nCELL_DATA {len(pressure)}\n"
        "SCALARS p float 1\nLOOKUP_TABLE default\n" + "\n".join(pressure) + "\n"
        "VECTORS U float\n" + "\n".join(velocity) + "\n"
    )


def _vtk_walls(title: str, corners: Array, pressure: list[str], velocity: list[str]) -> str:
    """Legacy VTK text: one rectangle per face; `corners` is (faces, 4, 3)."""
    faces = len(corners)
    points = "\n".join(" ".join(_text(point)) for point in corners.reshape(-1, 3))
    polygons = "\n".join(f"4 {4 * i} {4 * i + 1} {4 * i + 2} {4 * i + 3}" for i in range(faces))
    return (
        f"# vtk DataFile Version 3.0\n{title}\nASCII\nDATASET POLYDATA\nPOINTS {4 * faces} float\n{points}\n"
        f"POLYGONS {faces} {5 * faces}\n{polygons}\nCELL_DATA {faces}\n"
        "SCALARS p float 1\nLOOKUP_TABLE default\n" + "\n".join(pressure) + "\n"
        "VECTORS U float\n" + "\n".join(velocity) + "\n"
    )


def _text(values: Array) -> list[str]:
    return [f"{value:.6g}" for value in values.tolist()]


def time_name(seconds: float) -> str:
    """Name of a time's folder."""
    return f"{seconds:.6g}"


def _wall_corners(start: Array, end: Array) -> Array:
    """Rectangles of the mesh's depth standing on the segments from `start` to `end`, both (faces, 2)."""
    front, back = np.zeros(len(start)), np.full(len(start), DEPTH)
    ends = ((start, front), (end, front), (end, back), (start, back))
    return np.stack([np.column_stack((xy, z)) for xy, z in ends], axis=1)


def write_setup(out: Path, parameters: Parameters) -> None:
    """Write the dictionaries that describe the run: OpenFOAM itself can repeat it with them."""
    n, size = parameters.cells, time_name(LENGTH)
    control = {
        "application": "icoFoam",
        "startFrom": "startTime",
        "startTime": "0",
        "stopAt": "endTime",
        "endTime": f"{parameters.end_time:.10g}",
        "deltaT": f"{parameters.delta_t:.10g}",
        "writeControl": "timeStep",
        "writeInterval": str(parameters.write_interval),
        "writeFormat": "ascii",
        "timePrecision": "6",
    }
    corners = [(x, y, z) for z in (0, 0.1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    vertices = "\n".join(f"    ({x} {y} {z})" for x, y, z in corners)
    faces = {
        "movingWall": ("wall", "(3 7 6 2)"),
        "fixedWalls": ("wall", "(0 4 7 3) (2 6 5 1) (1 5 4 0)"),
        "frontAndBack": ("empty", "(0 3 2 1) (4 5 6 7)"),
    }
    patches = "\n".join(
        f"    {name}\n    {{\n        type    {kind};\n        faces   ({where});\n    }}"
        for name, (kind, where) in faces.items()
    )
    mesh = (
        f"scale   {size};\n\nvertices\n(\n{vertices}\n);\n\nblocks\n(\n    hex (0 1 2 3 4 5 6 7) ({n} {n} 1) "
        f"simpleGrading (1 1 1)\n);\n\nboundary\n(\n{patches}\n);\n"
    )
    settings = "\n".join(f"{key:<16}{value};" for key, value in control.items())
    _publish(out / "system/controlDict", _dictionary("dictionary", "system", "controlDict", settings))
    _publish(out / "system/blockMeshDict", _dictionary("dictionary", "system", "blockMeshDict", mesh))
    viscosity = f"nu              [0 2 -1 0 0 0 0] {parameters.nu:.10g};"
    _publish(
        out / "constant/transportProperties",
        _dictionary("dictionary", "constant", "transportProperties", viscosity),
    )


def write_fields(out: Path, flow: Cavity, step: int, seconds: float) -> None:
    """Write the time folder and the VTK files of one time."""
    # OpenFOAM numbers cells with x fastest.
    p = flow.pressure()
    u, v = (component.ravel(order="F") for component in flow.velocity())
    pressure = _text(p.ravel(order="F"))
    velocity = [f"{a:.6g} {b:.6g} 0" for a, b in zip(u.tolist(), v.tolist(), strict=True)]
    when = time_name(seconds)
    vectors = [f"({row})" for row in velocity]
    _publish(out / when / "U", _field("U", "vector", "[0 1 -1 0 0 0 0]", when, vectors, U_WALLS))
    _publish(out / when / "p", _field("p", "scalar", "[0 2 -2 0 0 0 0]", when, pressure, P_WALLS))

    line = np.linspace(0.0, LENGTH, flow.n + 1)
    title = f"time = {when} s"
    axes = (line, line, np.array([0.0, DEPTH]))
    _publish(out / f"VTK/cavity_{step}.vtk", _vtk(f"cavity, {title}", axes, pressure, velocity))
    low, high = np.zeros(flow.n), np.full(flow.n, LENGTH)
    top = _wall_corners(np.column_stack((line[:-1], high)), np.column_stack((line[1:], high)))
    others = np.concatenate(
        [
            _wall_corners(np.column_stack((low, line[:-1])), np.column_stack((low, line[1:]))),
            _wall_corners(np.column_stack((high, line[:-1])), np.column_stack((high, line[1:]))),
            _wall_corners(np.column_stack((line[:-1], low)), np.column_stack((line[1:], low))),
        ]
    )
    lid = _vtk_walls(f"movingWall, {title}", top, _text(p[:, -1]), [f"{LID_SPEED:g} 0 0"] * flow.n)
    rest = _text(np.concatenate((p[0], p[-1], p[:, 0])))
    walls = _vtk_walls(f"fixedWalls, {title}", others, rest, ["0 0 0"] * (3 * flow.n))
    _publish(out / f"VTK/movingWall/movingWall_{step}.vtk", lid)
    _publish(out / f"VTK/fixedWalls/fixedWalls_{step}.vtk", walls)
