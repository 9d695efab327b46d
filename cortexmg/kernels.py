"""What one step consists of: kernels, bytes and loops, read off a compiled program.

The text of optimised HLO, which every backend of XLA prints, lists the kernels of a loop body. What
a kernel moves is taken to be what it reads and writes once: slices and gathers count what they take
out of an array, not all of it.
"""

import re
from typing import NamedTuple

WIDTH = {"pred": 1, "bf16": 2, "c64": 8, "c128": 16}  # bytes; of others, the bits in the name
# What the compiler writes down and no device runs, or what has been counted at its start.
NO_KERNEL = re.compile(
    "parameter|constant|tuple|get-tuple-element|bitcast|after-all|opt-barrier|partition-id"
    "|replica-id|add-dependency|domain|.*-done"
)
_SHAPE = re.compile(r"\b([a-z]+\d*(?:e\d\w*)?)\[([\d,]*)\]")
_LINE = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = (.*?) ([\w\-]+)\((.*)$")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    shape: str
    op: str
    operands: tuple[str, ...]
    rest: str  # attributes, of which some name other computations
    root: bool


Program = dict[str, dict[str, Instruction]]  # by computation, then by name


class Work(NamedTuple):
    """What is done by a computation and all that it calls."""

    kernels: int = 0  # outside of loops whose length depends on data
    moved: int = 0  # bytes, read and written by these
    loops: tuple["Work", ...] = ()  # one iteration of each loop whose length depends on data
    branches: int = 0  # conditionals

    def __add__(self, other) -> "Work":  # pyright: ignore
        return Work(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: int) -> "Work":
        """The work of `count` iterations."""
        return self._replace(kernels=count * self.kernels, moved=count * self.moved)

    @property
    def all_loops(self) -> int:
        """How many loops depend on data, with those inside of others."""
        return sum(1 + loop.all_loops for loop in self.loops)


def work_of_loop(hlo: str) -> Work:
    """The work of one iteration of the outermost loop: of a step, where nothing is recorded.

    Raises: ValueError if the program has no loop.
    """
    program, entry = parse(hlo)
    loops = [x for x in _reached(program, entry) if x.op == "while"]
    if not loops:
        raise ValueError("The program has no loop: compile at least a frame of several steps.")
    largest = max(loops, key=lambda x: size(x.shape))
    return work(program, _called(largest, "body"))


def work_of_program(hlo: str, steps: int) -> Work:
    """The work of a whole program of so many steps, for one of them.

    Loops whose length depends on data are counted as often as they are written.
    """
    total = work(*parse(hlo))
    return total._replace(kernels=round(total.kernels / steps), moved=round(total.moved / steps))


def parse(hlo: str) -> tuple[Program, str]:
    """The computations of a program by name, and the name of the first one to run."""
    program: Program = {}
    entry = current = ""
    for line in hlo.splitlines():
        if head := _COMPUTATION.match(line):
            current = head[2]
            program[current] = {}
            entry = current if head[1] else entry
        elif current and (found := _LINE.match(line)):
            root, name, shape, op, rest = found.groups()
            inside, rest = _split(rest)
            operands = tuple(re.findall(r"%([\w.\-]+)", inside))
            operands = operands or (inside,)  # the number of a parameter
            program[current][name] = Instruction(name, shape, op, operands, rest, bool(root))
    return program, entry


def work(program: Program, computation: str) -> Work:
    """The work of a computation."""
    total = Work()
    for x in program[computation].values():
        if x.op == "while":
            total += _loop(program, x)
        elif x.op == "conditional":
            total += Work(branches=1)
            for name in _named(x, "branch_computations", "true_computation", "false_computation"):
                total += work(program, name)
        elif x.op == "call" or x.op == "async-start":
            for name in _named(x, "to_apply", "calls", "called_computations"):
                total += work(program, name)
        elif not NO_KERNEL.fullmatch(x.op):
            total += Work(1, moved_by(program, program[computation], x))
    return total


def moved_by(program: Program, around: dict[str, Instruction], x: Instruction) -> int:
    """How many bytes one kernel reads and writes."""
    if x.op == "copy-start":  # whose shape names source and target
        return 2 * size(around[x.operands[0]].shape)
    if x.op not in ("fusion", "fusion-start"):
        sources = [around[name] for name in x.operands if name in around]
        return _written(around, x) + sum(_read(s, [x]) for s in sources)
    inside = program[_called(x, "calls")]
    total = 0
    for p in inside.values():
        if p.op == "parameter":
            users = [u for u in inside.values() if _sees(inside, u, p.name)]
            total += _read(p, users) if users else 0
        elif p.root:
            total += _written(inside, p)
    return total


def size(shape: str) -> int:
    """How many bytes an array of this shape has, or a tuple of arrays."""
    total = 0
    for kind, lengths in _SHAPE.findall(shape):
        count = 1
        for length in lengths.split(","):
            count *= int(length) if length else 1
        bits = re.search(r"\d+", kind)
        total += count * WIDTH.get(kind, max(1, int(bits[0]) // 8) if bits else 0)
    return total


def _loop(program: Program, x: Instruction) -> Work:
    once, turns = work(program, _called(x, "body")), _turns(program, x)
    return once.times(turns) if turns else Work(loops=(once,))


def _turns(program: Program, x: Instruction) -> int | None:
    """How often a loop turns; None if that depends on data."""
    if known := re.search(r'known_trip_count"?:\s*\{"?n"?:\s*"?(\d+)', x.rest):
        return int(known[1])
    # Compilers of TPUs do not say so: a counter that grows by 1 up to a constant.
    condition, body = program[_called(x, "condition")], program[_called(x, "body")]
    test, after = (next(i for i in c.values() if i.root) for c in (condition, body))
    if test.op != "compare" or "direction=LT" not in test.rest or after.op != "tuple":
        return None
    counter, end = (condition[name] for name in test.operands)
    index = re.search(r"index=(\d+)", counter.rest)
    if not index or end.op != "constant":
        return None
    grown = body[after.operands[int(index[1])]]
    steps = [body[name] for name in grown.operands if name in body]
    by_one = grown.op == "add" and any(i.op == "constant" and i.operands[0] == "1" for i in steps)
    return int(end.operands[0]) if by_one else None


def _read(source: Instruction, users: list[Instruction]) -> int:
    """What is read of an array by these instructions."""
    whole, part = size(source.shape), 0
    for user in users:
        first = user.operands and user.operands[0]
        if user.op in ("dynamic-slice", "slice", "gather"):
            part += size(user.shape)
        elif user.op in ("dynamic-update-slice", "scatter") and first == source.name:
            part += 0  # in place; what is added to is read with what is written
        else:
            return whole
    return min(whole, part)


def _written(around: dict[str, Instruction], x: Instruction) -> int:
    """What the instruction writes, and reads of it in place."""
    if x.op == "tuple":
        return sum(_written(around, around[name]) for name in x.operands)
    if x.op == "bitcast" and x.operands[0] in around:
        return _written(around, around[x.operands[0]])
    if x.op in ("dynamic-update-slice", "scatter"):
        change = around.get(x.operands[1 if x.op == "dynamic-update-slice" else -1])
        changed = size(change.shape) if change else size(x.shape)
        return changed if x.op == "dynamic-update-slice" else 2 * changed
    return size(x.shape) if x.op != "parameter" else 0


def _sees(inside: dict[str, Instruction], user: Instruction, name: str) -> bool:
    """Whether an instruction uses an array, also under another shape."""
    if user.op == "bitcast":
        return False
    return any(
        o == name or (o in inside and inside[o].op == "bitcast" and name in inside[o].operands)
        for o in user.operands
    )


def _reached(program: Program, computation: str) -> list[Instruction]:
    """The instructions of a computation and of those that it merely calls."""
    found = list(program[computation].values())
    for x in list(found):
        if x.op == "call":
            for name in _named(x, "to_apply"):
                found += _reached(program, name)
    return found


def _split(text: str) -> tuple[str, str]:
    """The text up to the closing bracket, and the rest."""
    depth = 1
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if not depth:
            return text[:i], text[i + 1 :]
    return text, ""


def _called(x: Instruction, role: str) -> str:
    return _named(x, role)[0]


def _named(x: Instruction, *roles: str) -> list[str]:
    names: list[str] = []
    for role in roles:
        for group in re.findall(rf"\b{role}=\{{([^}}]*)\}}|\b{role}=(%?[\w.\-]+)", x.rest):
            names += re.findall(r"[\w.\-]+", "".join(group))
    return names
