# SPDX-License-Identifier: MIT
"""tasks-gdb.py - the tasks of a program, alive or dead: for gdb, which is told of them by

    gdb -x docs/tasks-gdb.py PROGRAM CORE
    gdb -x docs/tasks-gdb.py -p PID

    hank tasks          each task: its address, name, state, and what it waits for
    hank bt             those that wait, with the stack of each
    hank bt ADDRESS     the stack of one

Nothing of the program is called, so a core file is as good as a process: one that the kernel wrote,
for gdb's own generate-core-file leaves memory out in which there are guards of stacks. hank must
have been built with -g. Frame pointers are not needed. Stacks are for x86-64.
"""
import gdb
import gdb.unwinder

# The words of runtime/sched/task.h and runtime/base/waiter.h.
PHASE_FREE, PHASE_NEW, PHASE_DONE = 0, 1, 3
TRAIT_MEMBER, TRAIT_NAMED = 0x10, 0x20
STATE_SHIFT, STATE_MASK, AWAKE = 16, 0xff, 0
GUEST = 1
# What runtime/fiber/switch_x86_64.S leaves at a suspended fiber's sp.
SAVED_RBP, SAVED_RIP, SAVED_BYTES = 16, 24, 160


def number(value):
    """Of a field of any type, shared or not."""
    return int(value.cast(value.type.unqualified()))


def word_at(address):
    return int(gdb.Value(address).cast(gdb.lookup_type("unsigned long").pointer()).dereference())


class Task:
    def __init__(self, slot):
        self.slot, self.address = slot, int(slot.address)
        self.phase = number(slot["phase"])
        self.traits = number(slot["traits"])

    def waits(self):
        word = number(self.slot["sleeper"]["word"])
        return self.phase not in (PHASE_FREE, PHASE_NEW, PHASE_DONE) and \
            word >> STATE_SHIFT & STATE_MASK != AWAKE

    def is_off_stack(self):
        return number(self.slot["on_stack"]) == 0

    def state(self):
        if self.phase in (PHASE_NEW, PHASE_DONE):
            return "new" if self.phase == PHASE_NEW else "done"
        if not self.waits() or not self.is_off_stack():
            return "ready" if self.is_off_stack() else "running"
        why = number(self.slot["sleeper"]["why"])
        return f"waiting for {text_at(why)}" if why else "waiting"

    def name(self):
        if self.traits & TRAIT_NAMED:
            return text_at(number(self.slot["name"]))
        fn = number(self.slot["fn"])
        symbol = gdb.execute(f"info symbol {fn:#x}", to_string=True).split(" ", 1)[0]
        if symbol == "hk_envelope_main":
            envelope = self.slot["arg"].cast(gdb.lookup_type("hk_envelope").pointer())
            fn = number(envelope.dereference()["fn"])
            symbol = gdb.execute(f"info symbol {fn:#x}", to_string=True).split(" ", 1)[0]
        return f"fn@{fn:#x}" if symbol == "No" else symbol

    def above(self):
        field = "group" if self.traits & TRAIT_MEMBER else "parent"
        address = number(self.slot[field])
        return f"{'in group' if field == 'group' else 'child of'} {address:#x}" \
            if address > GUEST else ""

    def line(self):
        return f"{self.address:#x} {self.name():24} {self.state():24} {self.above()}".rstrip()


def text_at(address):
    try:
        return gdb.Value(address).cast(gdb.lookup_type("char").pointer()).string(errors="replace")
    except gdb.error:  # a core file need not have what cannot be written
        return f"{address:#x}"


def tasks():
    try:
        slab = gdb.parse_and_eval("hk_task_slab")
    except gdb.error:
        raise gdb.GdbError("no hank here, or one without debug information") from None
    kind, stride = gdb.lookup_type("hk_task"), int(slab["bytes"])
    chunk_kind = gdb.lookup_type("hk_slab_chunk").pointer()
    chunk = number(slab["chunks"])
    while chunk:
        fields = gdb.Value(chunk).cast(chunk_kind).dereference()
        first = int(fields["first"])
        for i in range(int(fields["slots"])):
            slot = gdb.Value(first + i * stride).cast(kind.pointer()).dereference()
            task = Task(slot)
            if task.phase != PHASE_FREE:
                yield task
        chunk = number(fields["next"])


class FrameId:
    """What gdb asks an unwinder to know a frame by."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Parked(gdb.unwinder.Unwinder):
    """Pretends that the frame the debugger stands in was called by the one where a task waits.

    A core file's registers cannot be changed, but what a frame returns to can be told."""

    def __init__(self):
        super().__init__("hank parked task")
        self.enabled = False
        self.here = self.sp = None

    def __call__(self, pending):
        sp, pc = pending.read_register("rsp"), pending.read_register("rip")
        if (int(sp), int(pc)) != self.here:
            return None
        info = pending.create_unwind_info(FrameId(sp, pc))
        word = gdb.lookup_type("unsigned long")
        for register, value in (("rip", word_at(self.sp + SAVED_RIP)),
                                ("rsp", self.sp + SAVED_BYTES),
                                ("rbp", word_at(self.sp + SAVED_RBP))):
            kind = pending.read_register(register).type
            info.add_saved_register(register, gdb.Value(value).cast(word).cast(kind))
        return info

    def backtrace(self, sp):
        frame = gdb.newest_frame()
        frame.select()
        self.here = int(frame.read_register("rsp")), int(frame.read_register("rip"))
        self.sp, self.enabled = sp, True
        gdb.invalidate_cached_frames()
        try:
            lines = gdb.execute("backtrace", to_string=True).splitlines()
        finally:
            self.enabled = False
            gdb.invalidate_cached_frames()
        return [line for line in lines if not line.startswith("#0 ")]


PARKED = Parked()
gdb.unwinder.register_unwinder(None, PARKED, replace=True)


def print_stack(task):
    print(task.line())
    if not task.waits() or not task.is_off_stack():
        return
    if "x86-64" not in gdb.selected_inferior().architecture().name():
        raise gdb.GdbError("stacks are known on x86-64 only")
    try:
        sp = int(task.slot["fiber"].dereference()["sp"])
        word_at(sp)
    except gdb.MemoryError:
        print("    (its stack is not in this core file)")
        return
    for line in PARKED.backtrace(sp):
        print("   ", line)


class Hank(gdb.Command):
    """The tasks of a program that uses hank."""

    def __init__(self):
        super().__init__("hank", gdb.COMMAND_STACK, prefix=True)


class HankTasks(gdb.Command):
    """List every task: hank tasks"""

    def __init__(self):
        super().__init__("hank tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for task in tasks():
            print(task.line())


class HankBacktrace(gdb.Command):
    """The stacks of the tasks that wait, or of one: hank bt [ADDRESS]"""

    def __init__(self):
        super().__init__("hank bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = int(gdb.parse_and_eval(argument)) if argument else None
        found = [t for t in tasks() if t.address == wanted or (wanted is None and t.waits())]
        for task in found:
            print_stack(task)
        if wanted is not None and not found:
            raise gdb.GdbError(f"{wanted:#x} is no task: see `hank tasks`")


Hank()
HankTasks()
HankBacktrace()
