"""A progress bar over results of worker processes."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

Result = TypeVar("Result")


@contextmanager
def with_bar(results: Generator[Result], title: str, total: int, shown: bool = True) -> Iterator[Iterator[Result]]:
    """Show on a terminal how many of `total` results there were, and close their generator at the end."""
    console, columns = Console(stderr=True), (*Progress.get_default_columns(), MofNCompleteColumn())
    # without a thread of its own, since processes are forked meanwhile
    is_shown = shown and total > 0 and console.is_terminal
    bar = Progress(*columns, console=console, auto_refresh=False, disable=not is_shown)
    with closing(results), bar:
        task = bar.add_task(title, total=total)

        def counted() -> Iterator[Result]:
            for result in results:
                yield result
                bar.update(task, advance=1, refresh=True)

        yield counted()
