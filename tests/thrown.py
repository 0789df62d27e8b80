"""Exceptions that hit a thread from outside, thrown at each place at which CPython can let one in.

That is at the entry of a function, behind a call, and where a loop turns back: there it looks whether a signal has come, and runs
its handler, which may raise. (In the code of `threading` itself nothing is thrown: a thread whose start is hit may never run, and
its locks stay as they are; nobody but Python can mend that.) A trace function sees each instruction before it is run, and what it
raises comes from there.
"""

import _weakrefset
import dis
import gc
import sys
import threading


class Alarm(Exception):
    """As of a signal handler that ends what takes too long."""


def throw_at(number, error, call):
    """Throw the error at the point of this number of those that the call comes by: where that was, and what the call raised.

    The place is None where there are no more points. In place of an error it may be a function, as a handler that returns.
    """
    left, thrown, me = number, [], threading.get_ident()

    def look(code, offset):
        nonlocal left
        if thrown or threading.get_ident() != me or offset not in _points_in(code):
            return
        left -= 1
        if left < 0:
            thrown.append(f"{code.co_qualname}, instruction {offset}")
            if isinstance(error, BaseException):
                raise error
            error()

    raised, collects = None, gc.isenabled()
    gc.disable()  # what is thrown in a callback of the collector's is swallowed
    _begin(look)
    try:
        call()
    except BaseException as caught:
        raised = caught
    finally:
        _end()
        if collects:
            gc.enable()
    return (thrown[0] if thrown else None), raised


_POINTS, _SPARED = {}, {__file__, threading.__file__, _weakrefset.__file__}


def spare(path):
    """Throw nothing in the code of this file, as behind a call, where what it returned is the test's own to lose."""
    _SPARED.add(path)


def _points_in(code):
    if code not in _POINTS:
        points, behind_call = set(), False
        for instruction in dis.get_instructions(code):
            if behind_call or instruction.opname == "RESUME":
                points.add(instruction.offset)
            behind_call = instruction.opname.startswith("CALL")
            if instruction.opname.startswith("JUMP_BACKWARD"):
                points.add(instruction.argval)
        _POINTS[code] = points if code.co_filename not in _SPARED else set()
    return _POINTS[code]


if sys.version_info >= (3, 12):

    def _begin(look):
        monitoring, tool = sys.monitoring, 4
        monitoring.use_tool_id(tool, "thrown")
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, look)
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)

    def _end():
        monitoring, tool = sys.monitoring, 4
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, None)
        monitoring.free_tool_id(tool)

else:

    def _begin(look):
        def trace(frame, event, _arg):
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
            if event == "opcode":
                look(frame.f_code, frame.f_lasti)
            return trace

        sys.settrace(trace)

    def _end():
        sys.settrace(None)


def at_depth(left, call):
    """Make the call where so many calls within one another are left, about, before the recursion is too deep. What it raised."""

    def dive(levels):
        if levels:
            dive(levels - 1)
        else:
            call()

    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    try:
        dive(sys.getrecursionlimit() - depth - left)
    except BaseException as caught:
        return caught
    return None


def in_time(call, timeout_s=10.0):
    """What the call returns in another thread, or raises; `TimeoutError` where it does not come back."""
    answers = []

    def answer():
        try:
            answers.append((call(), None))
        except BaseException as error:
            answers.append((None, error))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not answers:
        raise TimeoutError(f"{call} did not come back")
    value, error = answers[0]
    if error is not None:
        raise error
    return value
