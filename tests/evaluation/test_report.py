"""From episodes to numbers, files and a table."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes
from rich.console import Console

from rlmpc.contract.episode import Episode, Trial
from rlmpc.errors import UserError
from rlmpc.evaluation.plots import plot_success
from rlmpc.evaluation.report import (
    FILES,
    METRICS,
    check_folder,
    check_metrics,
    print_whole,
    summarise,
    table,
    totals,
    write_report,
)


def of_the_toy(trial: Trial, rmse_xy: float) -> Episode:
    return Episode(trial, "time_out", False, 5.0, 1.0, 1.0, (0.0, 0.0, 0.0), 0.1, rmse_xy, 0.0, 1.0)


def test_a_row_gathers_the_episodes_of_one_terrain_level_and_command(episodes):
    first, second = summarise(episodes)
    assert (first["terrain"], first["level"], first["command"]) == ("stairs_up", 3, [1.0, 0.0, 0.0])
    assert first["episodes"] == 2
    assert first["success_rate"] == 0.5
    assert first["falls_per_minute"] == pytest.approx(60.0 / 16.0)
    assert first["distance_m"] == 6.0
    # Weighted by time: (12 x 0.9 + 4 x 0.5) / 16.
    assert first["followed"] == pytest.approx(0.8)
    assert first["error_xy"] == pytest.approx(0.12)
    # Weighted by time: (12 x 0.1^2 + 4 x 0.3^2) / 16 = 0.03.
    assert first["rmse_xy"] == pytest.approx(math.sqrt(0.03))
    assert first["rmse_yaw"] == pytest.approx(math.sqrt(0.12))
    assert first["energy_j_per_m"] == 500.0
    assert first["length_s"] == 8.0
    assert first["reasons"] == {"time_out": 1, "bad_orientation": 1}
    assert (second["success_rate"], second["falls_per_minute"], second["followed"]) == (0.0, 0.0, 0.0)


def test_who_hardly_moves_has_no_energy_per_metre(episodes):
    assert summarise(episodes)[1]["energy_j_per_m"] is None


def test_totals_are_over_all_episodes(episodes):
    everything = totals(episodes)
    assert everything["episodes"] == 3
    assert everything["success_rate"] == pytest.approx(1 / 3)
    assert everything["reasons"] == {"time_out": 2, "bad_orientation": 1}
    assert set(METRICS) < set(everything)


def test_an_unknown_metric_is_refused_with_the_nearest():
    check_metrics(["rmse_xy", "success_rate"])
    with pytest.raises(UserError, match=r"no metric 'sucess_rate'; known: success_rate, .*did you mean 'success_rate'"):
        check_metrics(["rmse_xy", "sucess_rate"])


def test_the_report_holds_header_totals_rows_and_every_episode(tmp_path, episodes):
    write_report(tmp_path / "new" / "folder", episodes, {"task": "toy", "loss": float("nan")})
    folder = tmp_path / "new" / "folder"
    report = json.loads((folder / "evaluation.json").read_text())
    assert report["header"] == {"task": "toy", "loss": None}
    assert report["totals"]["episodes"] == 3
    assert [row["level"] for row in report["rows"]] == [3, 0]
    assert report["rows"][0]["reasons"] == {"time_out": 1, "bad_orientation": 1}
    with (folder / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["reason"] for row in rows] == ["time_out", "bad_orientation", "time_out"]
    assert (rows[1]["terrain"], rows[1]["command"], rows[1]["fell"]) == ("stairs_up", "1 0 0", "True")
    assert float(rows[1]["energy_j"]) == 2000.0
    assert [row["success"] for row in rows] == ["True", "False", "False"]
    assert (rows[1]["velocity"], float(rows[1]["followed"])) == ("0.5 0.1 0", 0.5)


def test_every_plot_is_a_picture(tmp_path, episodes):
    write_report(tmp_path, episodes, {})
    pictures = [name for name in FILES if name.endswith(".png")]
    assert len(pictures) == 3
    for name in pictures:
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000


def test_a_ground_and_level_that_were_not_measured_have_no_rate_in_the_plot(tmp_path, monkeypatch):
    texts: list[str] = []
    draw = Axes.text
    monkeypatch.setattr(Axes, "text", lambda self, x, y, s, **kwargs: texts.append(s) or draw(self, x, y, s, **kwargs))
    places = (("stairs_up", 0), ("stairs_down", 1))
    measured = [of_the_toy(Trial(*place, ()), 0.1) for place in places]
    plot_success(tmp_path / "success.png", measured)
    assert texts == ["100%", "-", "-", "100%"]


def test_a_report_of_the_toy_which_has_no_command_and_no_falls_can_be_written(tmp_path):
    write_report(tmp_path, [of_the_toy(Trial("arena", 0, ()), math.inf)], {})
    written = json.loads((tmp_path / "evaluation.json").read_text())["totals"]
    assert (written["rmse_xy"], written["followed"], written["success_rate"]) == (None, None, 1.0)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_overwritten_and_nothing_written_beside_it(tmp_path, episodes, name: str):
    (tmp_path / name).write_text("precious")
    with pytest.raises(UserError, match=f"{name}' exists already"):
        write_report(tmp_path, episodes, {})
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot be written"):
            check_folder(folder)


def printed(episodes: list[Episode], width: int, metrics: Sequence[str] = tuple(METRICS)) -> list[list[str]]:
    """Words of every line of the table on a terminal of some width."""
    console = Console(width=width, record=True)
    print_whole(console, table(episodes, metrics))
    return [line.split() for line in console.export_text().splitlines()]


def test_the_table_shows_the_chosen_metrics_and_the_totals(episodes):
    lines = printed(episodes, 200, ["success_rate", "energy_j_per_m"])
    words = [word for line in lines for word in line]
    assert "success" in words and "rmse" not in words
    row = next(line for line in lines if "stairs_up" in line)
    assert row == ["stairs_up", "3", "1", "0", "0", "2", "0.5", "500", "time_out", "1,", "bad_orientation", "1"]
    assert "-" in next(line for line in lines if "flat" in line)
    assert "0.333" in next(line for line in lines if "all" in line)
    with pytest.raises(UserError, match="no metric"):
        table(episodes, ["speed"])


def test_a_narrow_terminal_loses_no_letter_of_the_table(episodes):
    assert printed(episodes, 80) == printed(episodes, 300)
