"""What every store of our own secrets promises."""

from __future__ import annotations

from holdfast.ports.vault import Vault

NAME = "holdfast/copies/shop/shop-20260601t120000z-00000a"


def test_a_secret_is_listed_by_what_its_name_begins_with(vault: Vault) -> None:
    vault.write(NAME, "one")
    vault.write("holdfast-2/copies/shop/other", "two")

    assert list(vault.names("holdfast/copies/")) == [NAME]


def test_a_secret_may_be_written_again(vault: Vault) -> None:
    vault.write(NAME, "one")
    vault.write(NAME, "two")

    assert list(vault.names(NAME)) == [NAME]


def test_a_secret_is_gone_at_once_and_may_come_back(vault: Vault) -> None:
    vault.write(NAME, "one")

    vault.remove(NAME)
    vault.remove(NAME)
    assert list(vault.names("holdfast/")) == []
    vault.write(NAME, "two")
    assert list(vault.names("holdfast/")) == [NAME]
