"""A plan of faults, as a value and as JSON; and what of it depends on chance."""

from collections.abc import Callable
from hashlib import blake2b
from types import MethodType
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

from lightspeed.actors.errors import InvalidOption
from lightspeed.faults.fault import KINDS, Fault
from lightspeed.faults.network import NETWORK_KINDS

if TYPE_CHECKING:
    from lightspeed.actors.runtime import Runtime


class FaultPlan(Struct, frozen=True, omit_defaults=True):
    """What is to go wrong in a channel. One value serves any number of channels.

    Raises:
        InvalidOption: it names the field, the value and the rule.
    """

    faults: tuple[Fault, ...] = ()
    """Of those that are due at once each acts, in this order."""
    seed: int = 0
    """What `probability` is decided by; from 0 up. Default 0."""

    def __post_init__(self) -> None:
        if type(self.faults) is not tuple:
            raise InvalidOption("faults", self.faults, "must be a tuple of faults")
        for fault in self.faults:
            if type(fault) not in _KINDS.values():
                raise InvalidOption("faults", fault, "must be one of the kinds of fault")
        for index, fault in enumerate(self.faults):
            first = next((before for before, other in enumerate(self.faults[:index]) if other.leaves_nothing_to(fault)), None)
            if first is not None:
                raise InvalidOption("faults", fault, f"can never act as number {index}, for number {first} acts first, each time")
        if type(self.seed) is not int or not 0 <= self.seed <= 2**53:
            raise InvalidOption("seed", self.seed, "must be an int from 0 to 2**53")

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """The plan that `to_json` wrote, or somebody by hand. A `when` in it names code, which the channel will import.

        Raises:
            InvalidOption: it is no JSON, or a kind, field or value in it is none that there is; it names it.
        """
        try:
            plan = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidOption("plan", text, f"must be JSON in UTF-8 ({error})") from None
        _check_fields("a plan", cls, plan)
        faults = plan.pop("faults", [])
        if type(faults) is not list:
            raise InvalidOption("faults", faults, "must be an array")
        return cls(tuple(_fault(fields) for fields in faults), **plan)

    def to_json(self) -> bytes:
        """One line, without the line's end. What has its default is left out.

        Raises:
            InvalidOption: a `when` is a callable that can't be found again by its name.
        """
        faults = tuple(msgspec.structs.replace(fault, when=_named(fault.when)) for fault in self.faults)
        return msgspec.json.encode(FaultPlan(faults, self.seed))

    def over(self, runtime: "Runtime") -> "Runtime":
        """A layer: a runtime over this one, on which the faults act. What carries them out is loaded with the first.

        Raises:
            InvalidOption: a `when` names no function.
        """
        from lightspeed.faults.runtime import FaultyRuntime

        return FaultyRuntime(runtime, self)

    def chance(self, index: int, topic: str, number: int) -> float:
        """At least 0 and below 1: what a `probability` of the fault is held against. The same everywhere and in any order."""
        key = f"{self.seed}:{index}:{number}:{topic}".encode(errors="surrogatepass")
        return int.from_bytes(blake2b(key, digest_size=7).digest()) / 2**56


_KINDS = {**KINDS, **NETWORK_KINDS}


def _fault(fields: object) -> Fault:
    if type(fields) is not dict:
        raise InvalidOption("faults", fields, "must hold objects")
    kind = fields.pop("do", None)
    if type(kind) is not str or kind not in _KINDS:
        raise InvalidOption("do", kind, f"must be one of {', '.join(_KINDS)}")
    _check_fields(f"the fault {kind}", _KINDS[kind], fields)
    return _KINDS[kind](**fields)


def _check_fields(what: str, cls: type[Struct], fields: object) -> None:
    if type(fields) is not dict:
        raise InvalidOption("plan", fields, "must be a JSON object")
    for name in fields:
        if name not in cls.__struct_fields__:
            raise InvalidOption(name, fields[name], f"is no field of {what}")
    for field in msgspec.structs.fields(cls):
        if field.required and field.name not in fields:
            raise InvalidOption(field.name, fields, f"must be given for {what}")


def _named(when: str | Callable[..., Any] | None) -> str | None:
    if when is None or isinstance(when, str):
        return when
    module, name = getattr(when, "__module__", None), getattr(when, "__qualname__", "<none>")
    # A lambda's name is <lambda>, and an inner function's has <locals>.
    if module is None or "<" in name or isinstance(when, MethodType):
        raise InvalidOption("when", when, "must be a function of a module to be written as JSON")
    return f"{module}:{name}"
