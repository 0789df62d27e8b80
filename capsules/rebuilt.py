"""How classes and objects of the user's go into a capsule so that they can be made again: what cloudpickle can't.

A class is made empty first and filled afterwards, as its methods may lead back to it. It is always another class than the one it
was made of, also in the same process, where it must not change what the program goes on with.

Python's own way calls the class of an exception with what is in its `args`, asks an object that has nothing yet for its
`__setstate__`, and puts items into a dict by its class's `__setitem__`. All that may fail where nobody can help any more: in the
replay. Here the object is made and filled by what Python itself has for its kind.
"""

import copyreg
import sys
import types
from types import MemberDescriptorType
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

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
    own = [field for field in annotations if field in kind.__struct_fields__]  # no ClassVar
    fields = [(field, annotations[field], *defaults.get(field, ())) for field in own]
    held = {key: value for key, value in attributes.items() if key not in _MADE and not key.startswith("__struct")}
    held = {key: value for key, value in held.items() if key not in kind.__struct_fields__}
    return (_make_struct_class, (name, kind.__module__, bases, fields, config), (held, slots), *rest)


_MADE = ("__annotations__", "__match_args__", "__slots__", "__weakref__", "__dict__", "__rename__")


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


_MAKE_EMPTY: Any = copyreg.__newobj__  # type: ignore[attr-defined]
_HEAP_TYPE = 1 << 9  # Source: Py_TPFLAGS_HEAPTYPE in CPython's object.h; a class without it is written in C


class Reduced(NamedTuple):
    """What a pickle needs, and what it will take to load it."""

    parts: Any
    """As `__reduce_ex__` gives it."""
    runs: bool = False
    """Whether loading it runs code of its class's own: only a trial can tell whether that goes well."""


def reduced(obj: Any, how: Any) -> Reduced:
    """The object, by `how` its own `__reduce_ex__` would have it.

    Raises:
        Exception: what its class's code raises, or that of another.
    """
    kind = type(obj)
    if issubclass(kind, BaseException):
        return Reduced(_exception(obj, kind))
    if type(how) is str:
        return Reduced(how)
    if not (type(how) is tuple and 2 <= len(how) <= 6 and callable(how[0]) and type(how[1]) is tuple):
        raise TypeError("no pickle can be made of what it gives for itself")
    if len(how) == 6:
        return Reduced(how, runs=not is_pythons(kind))
    given: Any = (*how, None, None, None)
    func, args, state, items, pairs = given[:5]
    if _sets_its_state(kind):
        return Reduced(how, runs=not is_pythons(kind))
    if func is _MAKE_EMPTY:
        make, runs = _newobj(obj, kind, args)
    elif func is kind and not is_pythons(kind):
        base = next((base for base in _mro(kind) if is_pythons(base) and _has_reduce(base)), None)
        make, runs = ((func, args), True) if base is None or _own_reduce(kind) else ((_made_as, (base, kind, args)), False)
    else:
        return Reduced(how, runs=not is_pythons(kind))
    if is_pythons(kind) and make[0] is func:
        return Reduced(how)
    if issubclass(kind, dict) and pairs is not None:
        pairs = list(_pythons_own(kind, "items")(obj))
    if issubclass(kind, list) and items is not None:
        items = list(_pythons_own(kind, "__iter__")(obj))
    content = (*_parts(kind, obj, state), None if items is None else list(items), None if pairs is None else list(pairs))
    return Reduced((*make, content, None, None, _fill), runs)


def is_pythons(kind: type) -> bool:
    """Whether the class is of the standard library."""
    module = type.__dict__["__module__"].__get__(kind)
    return isinstance(module, str) and module.split(".")[0] in sys.stdlib_module_names and module != "__main__"


def find_in_class(kind: type, name: str) -> Any:
    """What the class has under a name; neither the object nor a metaclass is asked."""
    return next((base.__dict__[name] for base in _mro(kind) if name in base.__dict__), None)


def has_own_hash(kind: type) -> bool:
    """Whether code of the program's tells its hash: of an object that may not have all that it asks for yet."""
    return any("__hash__" in base.__dict__ for base in _mro(kind) if base.__flags__ & _HEAP_TYPE and not is_pythons(base))


def _pythons_own(kind: type, name: str) -> Any:
    """What Python itself has under a name for such an object."""
    return next(base.__dict__[name] for base in _mro(kind) if name in base.__dict__ and is_pythons(base))


def slots_of(kind: type) -> dict[str, Any]:
    """The descriptors of its slots, by name."""
    bases = [base for base in reversed(_mro(kind)) if base.__flags__ & _HEAP_TYPE or "__struct_fields__" in base.__dict__]
    return {name: slot for base in bases for name, slot in base.__dict__.items() if type(slot) is types.MemberDescriptorType}


def vars_of(obj: Any) -> dict[str, Any]:
    """The attributes that it has by itself; in slots too. No code of its class's is run, unless `__dict__` is one's."""
    try:
        own = object.__getattribute__(obj, "__dict__")
    except Exception:  # it has none, or of its class's making
        own = {}
    held = dict(own) if type(own) is dict else {}
    for name, slot in slots_of(type(obj)).items():
        try:
            held[name] = slot.__get__(obj)
        except AttributeError:  # empty
            pass
    return held


def _sets_its_state(kind: type) -> bool:
    own = find_in_class(kind, "__setstate__")
    return own is not None and getattr(own, "__module__", None) != "dataclasses"


def runs_code_to_be_made(kind: type) -> bool:
    """Whether a class, made again, runs code of the program's."""
    own = [base for base in _mro(kind)[1:] if not is_pythons(base) and "__init_subclass__" in base.__dict__]
    return bool(own) or not (is_pythons(type(kind)) or type(kind) is type(Struct))


def _mro(kind: type) -> tuple[type, ...]:
    return type.__dict__["__mro__"].__get__(kind)  # type: ignore[no-any-return]


def _has_reduce(base: type) -> bool:
    return base is not object and ("__reduce__" in base.__dict__ or "__reduce_ex__" in base.__dict__)


def _own_reduce(kind: type) -> bool:
    for base in _mro(kind):
        if _has_reduce(base):
            return not is_pythons(base)
    return False


def _newobj(obj: Any, kind: type, args: tuple[Any, ...]) -> tuple[Any, bool]:
    """What makes it, empty, and whether that runs code."""
    base = next(base for base in _mro(kind) if not base.__flags__ & _HEAP_TYPE)
    if is_pythons(kind):
        return (_MAKE_EMPTY, args), False
    value: Any = _VALUES.get(base)
    fields = find_in_class(kind, "_fields")
    if base is tuple and type(fields) is tuple and len(fields) == len(value(obj)):  # by name, for whoever looks at names
        return (_made_named, (kind, dict(zip(fields, value(obj), strict=True)))), False
    if value is not None:
        return (_made_of, (base, kind, value(obj))), False
    if len(args) > 1 and find_in_class(kind, "__getnewargs__") is None and find_in_class(kind, "__getnewargs_ex__") is None:
        args = args[:1]  # it was another object's that it stands for, by its `__getattr__`
    if len(args) > 1:
        return (_MAKE_EMPTY, args), True
    return (_made_of, (base, kind)), False


def _parts(kind: type, obj: Any, state: Any) -> tuple[Any, Any]:
    """The attributes as a dict, and those in slots, from a state without `__setstate__`."""
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        return state
    if isinstance(state, list):  # a dataclass's, by position
        return None, vars_of(obj)
    return (state if isinstance(state, dict) else None), None


def _exception(error: BaseException, kind: type) -> Any:
    base: Any = next(base for base in _mro(kind) if not base.__flags__ & _HEAP_TYPE)
    _kind, args, *more = base.__reduce__(error)
    held = vars_of(error)
    extra = {name: value for name, value in (more[0] if more else {}).items() if name not in held}
    own = {name: held.pop(name) for name in slots_of(kind) if name in held}
    return _made_exception, (base, kind, args), (held, {**own, **extra}, None, None), None, None, _fill


_VALUES: dict[type, Any] = {
    tuple: lambda value: tuple(tuple.__iter__(value)),
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
}


def _made_of(base: Any, kind: type, *value: Any) -> Any:
    return base.__new__(kind, *value)


def _made_named(kind: Any, fields: dict[str, Any]) -> Any:
    return tuple.__new__(kind, fields.values())


def _made_as(base: Any, kind: type, args: tuple[Any, ...]) -> Any:
    made = base.__new__(kind, *args)
    if base.__init__ is not object.__init__:
        base.__init__(made, *args)
    return made


def _made_exception(base: Any, kind: type, args: tuple[Any, ...]) -> BaseException:
    error: BaseException = base.__new__(kind, *args)
    try:
        base.__init__(error, *args)  # some keep more than `args`
    except (TypeError, ValueError):  # its class has other arguments
        BaseException.args.__set__(error, args)  # type: ignore[attr-defined]
    return error


def _fill(obj: Any, content: tuple[Any, Any, Any, Any]) -> None:
    attributes, slots, items, pairs = content
    if attributes:
        object.__getattribute__(obj, "__dict__").update(attributes)
    for name, value in (slots or {}).items():
        object.__setattr__(obj, name, value)
    if items:
        _pythons_own(type(obj), "extend")(obj, items)
    for key, value in pairs or ():
        _pythons_own(type(obj), "__setitem__")(obj, key, value)
