"""Registry: names to plugins, found lazily through the entry points of installed distributions.

A plugin is a module whose import registers things, or one object that an entry point names. The registry never imports
a plugin before somebody asks for a name that it lacks or for the whole list, and never lets a broken one stop the rest.
"""

from __future__ import annotations

import difflib
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
D = TypeVar("D")
_NOTHING: Any = object()


class Origin(NamedTuple):
    """Where a plugin comes from; `distribution` is empty for what no installed distribution offers."""

    module: str
    file: str
    distribution: str = ""

    def __str__(self) -> str:
        return f"{self.file} ({self.distribution or self.module})"


class Entry(NamedTuple, Generic[T]):
    """One row of a registry's listing."""

    name: str
    obj: T
    origin: Origin


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to plugins that fills itself from the entry-point group `group` when it has to.

    `what` is the word for one of them in messages ("layer"), `hint` a last clause for an unknown name. `unknown`,
    `clash` and `broken` are what is raised for a name that nothing goes by, raised for two plugins of one name, and
    warned with for a plugin that does not load. `MINIGRAD_PLUGINS=off` in the environment loads no plugin.

    >>> table = Registry[type]("layer", "example.layers", unknown=KeyError, clash=RuntimeError, broken=UserWarning)
    >>> table.register("Integer", int)
    >>> table["Integer"], list(table), table.get("Float", None)
    (<class 'int'>, ['Integer'], None)
    """

    def __init__(
        self,
        what: str,
        group: str,
        *,
        unknown: type[Exception],
        clash: type[Exception],
        broken: type[Warning],
        hint: str = "",
    ) -> None:
        self._what, self._group, self._hint = what, group, hint
        self._unknown, self._clash, self._broken = unknown, clash, broken
        self._table: dict[str, tuple[T, Origin]] = {}
        self._offered: dict[str, str] = {}  # module path of an entry point -> its distribution
        self._discovered = False
        # Held for the table alone, never across an import: a thread that is importing a plugin holds that module's
        # import lock and comes here to register, so holding ours while importing could deadlock with it.
        self._lock = threading.Lock()
        self._looking: set[int] = set()  # threads inside a discovery: a plugin's import may ask this registry
        self._warned: set[tuple[str, str]] = set()

    # ---- filling ----

    def register(self, name: str, obj: T, origin: Origin | None = None) -> None:
        """Enter `obj` under `name`; `clash` is raised, naming both files, when another plugin has the name.

        The same code run again (a notebook's cell, a reload, a second try after a failed import) replaces itself.
        """
        if not name:
            raise ValueError(f"name must be a string with at least one character, got {name!r}")
        origin = origin or _origin_of(obj)
        with self._lock:
            held = self._table.get(name)
            if held is None or _same_code(held, (obj, origin)):
                self._table[name] = (obj, origin)
                return
        first, second = self._placed(held[1]), self._placed(origin)
        raise self._clash(
            f"two plugins register a {self._what} called {name!r}: {first} and {second}; "
            "rename one of them, or uninstall the distribution that you do not need"
        )

    def _discover(self) -> None:
        """Load every entry point of the group once; warn for those that fail, after all have had their turn."""
        thread = threading.get_ident()
        if self._discovered or thread in self._looking or plugins_off():
            return
        from importlib.metadata import entry_points  # 20 ms that a light import does not pay

        self._looking.add(thread)
        failed: list[tuple[EntryPoint, BaseException]] = []
        try:
            points = sorted(entry_points(group=self._group), key=lambda p: (p.name, _distribution(p), p.value))
            self._offered.update((point.module, _distribution(point)) for point in points)
            for point in points:
                try:
                    self._load(point)
                except self._clash:
                    raise  # not one plugin's fault: which of the two is meant, only the user can say
                except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's module may raise anything
                    failed.append((point, error))
            self._discovered = True
        finally:
            self._looking.discard(thread)
        for point, cause in failed:
            self._warn(point, cause)

    def _load(self, point: EntryPoint) -> None:
        obj = point.load()
        if not isinstance(obj, ModuleType):
            file = getattr(sys.modules.get(point.module), "__file__", None) or f"<{point.module}>"
            self.register(point.name, obj, Origin(point.module, file, _distribution(point)))

    def _warn(self, point: EntryPoint, error: BaseException) -> None:
        key = (point.name, point.value)
        with self._lock:
            if key in self._warned:
                return
            self._warned.add(key)
        warnings.warn(
            f"the plugin {point.name!r} of the distribution {_distribution(point)!r} could not be loaded from "
            f"{point.value!r} and its {self._what}s are missing: {type(error).__name__}: {error}",
            self._broken,
            stacklevel=4,
        )

    def _placed(self, origin: Origin) -> Origin:
        """`origin` with its distribution, by what an entry point of the group names."""
        if origin.distribution:
            return origin
        return origin._replace(distribution=self._offered.get(self.root(origin.module), ""))

    def root(self, module: str) -> str:
        """The longest path above (or at) a module that an entry point of the group names; "" for none."""
        while module and module not in self._offered:
            module = module.rpartition(".")[0]
        return module

    # ---- asking ----

    def __getitem__(self, name: str) -> T:
        found = self._table.get(name)
        if found is None:
            self._discover()
            found = self._table.get(name)
        if found is None:
            raise self._unknown(self._no_such(name))
        return found[0]

    @overload
    def get(self, name: str, /) -> T: ...
    @overload
    def get(self, name: str, /, default: D) -> T | D: ...
    def get(self, name: str, /, default: Any = _NOTHING) -> Any:
        """The plugin called `name`; without a default a missing one raises, as `registry[name]` does."""
        return self[name] if default is _NOTHING or name in self else default

    def __contains__(self, name: object) -> bool:
        if name not in self._table:
            self._discover()
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        self._discover()
        with self._lock:
            return iter(sorted(self._table))

    def __len__(self) -> int:
        self._discover()
        return len(self._table)

    def __repr__(self) -> str:
        more = "" if self._discovered else ", plugins not looked for yet"
        return f"<Registry of {len(self._table)} {self._what}s{more}>"

    def origin(self, name: str) -> Origin:
        """Module, file and distribution of the plugin called `name`; raises as `registry[name]` does."""
        self[name]
        self._discover()  # the distribution is known by the entry points only
        return self._placed(self._table[name][1])

    def entries(self) -> list[Entry[T]]:
        """Every plugin with its origin, by name."""
        return [Entry(name, self[name], self.origin(name)) for name in self]

    def _no_such(self, name: str) -> str:
        names = sorted(self._table)
        lower = {known.lower(): known for known in names}
        near = [lower[match] for match in difflib.get_close_matches(str(name).lower(), list(lower), 3)]
        if near:
            answer = "did you mean " + " or ".join(map(repr, near)) + "?"
        elif names:
            shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
            answer = f"there are {shown}"
        else:
            answer = f"no {self._what} is registered at all"
        off = "; MINIGRAD_PLUGINS=off keeps plugins from being loaded" if plugins_off() else ""
        return f"no {self._what} is called {name!r}; {answer}{off}" + (f"; {self._hint}" if self._hint else "")


def plugins_off() -> bool:
    """Whether `MINIGRAD_PLUGINS=off` keeps plugins from being loaded."""
    return os.environ.get("MINIGRAD_PLUGINS", "").strip().lower() == "off"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _origin_of(obj: object) -> Origin:
    module = getattr(obj, "__module__", None) or type(obj).__module__
    return Origin(module, getattr(sys.modules.get(module), "__file__", None) or f"<{module}>")


def _same_code(one: tuple[Any, Origin], other: tuple[Any, Origin]) -> bool:
    if one[0] is other[0]:
        return True
    names = [getattr(obj, "__qualname__", None) for obj, _ in (one, other)]
    return names[0] is not None and names[0] == names[1] and one[1].module == other[1].module
