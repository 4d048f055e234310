"""Which tests run in the same process when pytest runs several: those that share what they have set up."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class ModuleScheduling(LoadScopeScheduling):
    """Keeps the tests of a module on one worker, and those of exports, which share their policies."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        return str(path.parent if path.parent.name == "export" else path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ModuleScheduling:
    """Take that; `--dist loadgroup` of xdist 3.8 groups nothing with pytest 9.2."""
    return ModuleScheduling(config, log)
