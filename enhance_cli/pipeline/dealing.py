"""Distributes the photos of a run over its devices: each goes to the one with the fewest photos in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enhance_cli.pipeline.card import IN_FLIGHT

if TYPE_CHECKING:
    from enhance_cli.pipeline.recipe import Recipe


class Dealer:
    """The recipe of a run, opened on each of its devices. Thread-safe."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        """Start with nothing in flight.

        Args:
            recipes: equal but for their engines; one at least.
        """
        self._recipes = list(recipes)
        self._flying = [0] * len(recipes)
        self._dealt = [0] * len(recipes)
        self._lock = threading.Lock()
        self._mine = threading.local()

    @property
    def first(self) -> Recipe:
        """The recipe on the first device, for all that does not depend on the device."""
        return self._recipes[0]

    @property
    def latest(self) -> Recipe:
        """The recipe that this thread was given last: the device on which its photo failed."""
        return getattr(self._mine, "recipe", self.first)

    def part(self, recipe: Recipe) -> int:
        """The position of a recipe's device among those of the run."""
        return next(number for number, its in enumerate(self._recipes) if its is recipe)

    @property
    def device(self) -> str:
        """The devices as the report of the run names them."""
        return ", ".join(recipe.engine.device for recipe in self._recipes)

    @property
    def in_flight(self) -> int:
        """Photos on the cards at once. Their threads wait for a card, so others can decode and encode."""
        return sum(IN_FLIGHT for recipe in self._recipes if recipe.card.limited)

    @contextmanager
    def dealt(self) -> Iterator[Recipe]:
        """The recipe for one photo, for the duration of the body."""
        with self._lock:
            # Of those that are equally busy, the one that has had the fewest.
            chosen = min(range(len(self._recipes)), key=lambda it: (self._flying[it], self._dealt[it], it))
            self._flying[chosen] += 1
            self._dealt[chosen] += 1
        self._mine.recipe = self._recipes[chosen]
        try:
            yield self._recipes[chosen]
        finally:
            with self._lock:
                self._flying[chosen] -= 1

    def changed(self, change: Callable[[Recipe], Recipe]) -> Dealer:
        """The same with other recipes, on the same engines."""
        return Dealer([change(recipe) for recipe in self._recipes])

    def close(self, *, wait: bool = True) -> None:
        """Close the engines."""
        for recipe in self._recipes:
            recipe.engine.close(wait=wait)
