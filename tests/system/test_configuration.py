"""A malformed holdfast.toml: every command names every fault at once, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from system.world import holdfast

MALFORMED = """\
[holdfast]
regoin = "eu-central-1"

[databases.shop]
provider = "mysql"
concurrency = 0
network = "nowhere"

[databases.Shop_2]
provider = "postgres"
timezone = "Europe/Atlantis"

[databases.crm]
provider = "postgres"
tiers.daily.schedule = "every day"
"""
FAULTS = {
    2: "holdfast.regoin",
    5: "databases.shop.provider",
    6: "databases.shop.concurrency",
    7: "databases.shop.network",
    9: "databases.Shop_2",
    11: "databases.Shop_2.timezone",
    15: "databases.crm.tiers.daily.schedule",
}


@pytest.fixture
def malformed(tmp_path: Path) -> Path:
    path = tmp_path / "holdfast.toml"
    path.write_text(MALFORMED, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("--config", "holdfast.toml", "backup", "shop"), id="backup"),
        pytest.param(("--config", "holdfast.toml", "status"), id="status"),
        pytest.param(("local", "up", "--config", "holdfast.toml"), id="local up"),
    ],
)
def test_every_fault_is_told_at_once_with_its_line_and_key(malformed: Path, command: tuple[str, ...]) -> None:
    done = holdfast(*command, directory=malformed.parent)

    assert done.code == 3, done.said
    for line, key in FAULTS.items():
        assert f"holdfast.toml:{line}: {key}" in done.said
    assert not (malformed.parent / ".holdfast").exists()


def test_text_that_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text('[holdfast]\nregion = "eu-central-1"\n[databases.shop\n', encoding="utf-8")

    done = holdfast("status", directory=tmp_path)

    assert done.code == 3
    assert "holdfast.toml:3" in done.said


def test_a_variable_that_is_not_set_is_named_before_anything_starts(tmp_path: Path) -> None:
    text = '[holdfast]\nregion = "eu-central-1"\n[databases.shop]\nprovider = "postgres"\nurl_env = "SHOP_URL"\n'
    (tmp_path / "holdfast.toml").write_text(text, encoding="utf-8")

    done = holdfast("local", "up", directory=tmp_path)

    assert done.code == 3
    assert "SHOP_URL is not set; export SHOP_URL=postgresql://" in done.said
    assert not (tmp_path / ".holdfast").exists()
