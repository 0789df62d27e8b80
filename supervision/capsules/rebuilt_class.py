"""How classes of the user's go into a capsule so that they can be made again: what cloudpickle can't.

A class is made empty first and filled afterwards, as its methods may lead back to it. It is always another class than the one it
was made of, also in the same process, where it must not change what the program goes on with.
"""

from types import MemberDescriptorType
from typing import Any

import msgspec

_CONFIG = (
    *("frozen", "eq", "order", "array_like", "gc", "weakref", "dict", "cache_hash"),
    *("omit_defaults", "forbid_unknown_fields", "repr_omit_defaults"),
)
_NO_DEFAULT: tuple[bool, Any] = (False, msgspec.NODEFAULT)
_TRACKER = 4  # which of the arguments of cloudpickle's makers of a class tells which class of this process it is


def apart(reduced: Any) -> Any:
    """As cloudpickle has it, but a class of its own."""
    make, args, (attributes, slots), *rest = reduced
    attributes = {key: value for key, value in attributes.items() if type(value) is not MemberDescriptorType}
    if "__class__" in attributes:  # can't be set any more when there is a class
        args = (*args[:3], {**args[3], "__class__": attributes.pop("__class__")}, *args[_TRACKER:])
    rest = [(attributes, slots), *rest]
    if make.__name__ == "_make_skeleton_class":
        return (_make_class, (make, *args[:_TRACKER], None, *args[_TRACKER + 1 :]), *rest)
    if make.__name__ == "_make_skeleton_enum":
        return (make, (*args[: _TRACKER + 1], None, *args[_TRACKER + 2 :]), *rest)
    return reduced


def of_struct(kind: type[msgspec.Struct], reduced: Any) -> Any:
    """A class of msgspec's, which is nothing without its fields."""
    _make, (_meta, name, bases, _named, *_more), (attributes, slots), *rest = reduced
    config = {option: value for option in _CONFIG if (value := getattr(kind.__struct_config__, option)) is not None}
    config |= {"tag": kind.__struct_config__.tag, "tag_field": kind.__struct_config__.tag_field}
    defaults = _defaults_of(kind)
    annotations = attributes.get("__annotations__", {})
    fields = [
        (field, annotation, *defaults.get(field, ())) for field, annotation in annotations.items() if _is_field(kind, field)
    ]
    held = {key: value for key, value in attributes.items() if key not in _MADE and not key.startswith("__struct")}
    held = {key: value for key, value in held.items() if key not in kind.__struct_fields__}
    return (_make_struct_class, (name, kind.__module__, bases, fields, config), (held, slots), *rest)


_MADE = ("__annotations__", "__match_args__", "__slots__", "__weakref__", "__dict__", "__rename__")


def _is_field(kind: type[msgspec.Struct], name: str) -> bool:
    return name in kind.__struct_fields__  # no ClassVar


def _defaults_of(kind: type[msgspec.Struct]) -> dict[str, tuple[bool, Any]]:
    """By field: whether it is a factory, and what it is."""
    given = kind.__struct_defaults__
    last = kind.__struct_fields__[len(kind.__struct_fields__) - len(given) :]
    told = {name: value for name, value in zip(last, given, strict=True) if value is not msgspec.NODEFAULT}
    return {name: (True, value.factory) if type(value).__name__ == "Factory" else (False, value) for name, value in told.items()}


def _make_class(make: Any, *args: Any) -> type:
    return make(*args)  # type: ignore[no-any-return]


def _make_struct_class(name: str, module: str, bases: tuple[type, ...], fields: Any, config: dict[str, Any]) -> type:
    made = []
    for field, kind, *default in fields:
        is_factory, value = default or _NO_DEFAULT
        made.append((field, kind, msgspec.field(default_factory=value) if is_factory else msgspec.field(default=value)))
    try:
        return msgspec.defstruct(name, made, bases=bases, module=module, **config)
    except TypeError:  # a class does not tell whether its own fields have to be named
        return msgspec.defstruct(name, made, bases=bases, module=module, kw_only=True, **config)
