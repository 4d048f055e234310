"""Shows how well the policy does in the environments that training leaves alone, as a line and as a table."""

from __future__ import annotations

import lightning as L
from rich.console import Console

from rlmpc.checkpoint.summary import SUCCESS
from rlmpc.learners.report import Report, ReportCallback
from rlmpc.run.tracking import Tracker


class EvaluationLine(ReportCallback):
    """Prints a line after every iteration that ends an evaluation.

    Args:
        console: where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Print the iteration's evaluation, if it ended one."""
        if trainer.is_global_zero and SUCCESS in report.numbers:
            self.console.print(f"iteration {report.iteration + 1}: {evaluation_line(report.numbers)}")


class EvaluationTable(ReportCallback):
    """Gives the loggers a table after every iteration that ends an evaluation."""

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Hand over the iteration's evaluation, if it ended one."""
        if not trainer.is_global_zero or SUCCESS not in report.numbers:
            return
        prefix = SUCCESS.split("/")[0] + "/"
        rows = [[name.removeprefix(prefix), share] for name, share in report.numbers.items() if name.startswith(prefix)]
        for logger in trainer.loggers:
            if isinstance(logger, Tracker):
                logger.add_table(prefix + "table", ("of the episodes", "share"), rows, report.iteration)


def evaluation_line(numbers: dict[str, float]) -> str:
    """Return the results of an evaluation in words.

    Args:
        numbers: of an iteration that ended one, as `rlmpc.rollout.held_out.HeldOut` names them.
    """
    kinds = {name.removeprefix(f"{SUCCESS}/"): value for name, value in numbers.items() if name.startswith(SUCCESS)}
    of_all = kinds.pop(SUCCESS)
    shown = f" ({', '.join(f'{kind} {value:.0%}' for kind, value in kinds.items())})" if len(kinds) > 1 else ""
    falls, followed = numbers["evaluation/falls"], numbers["evaluation/followed"]
    return f"evaluation: {of_all:.0%} succeeded{shown}, {falls:.0%} fell, {followed:.0%} of the command was followed"
