from __future__ import annotations

import pytest

from mock_fal.accounts.instances import PROVISIONING_S, Instance, Instances
from mock_fal.accounts.key_values import KeyValues, Name
from mock_fal.accounts.library import Collection, Libraries, Library, Tag
from mock_fal.accounts.workspace import Workspaces


def group(id: str, parent: str | None = None) -> Collection:
    return Collection(id, "manual", id, 0.0, 0.0, parent_id=parent)


def test_a_tag_is_deleted_from_its_assets() -> None:
    library = Library()
    library.tags = {id: Tag(id, id, 0.0) for id in "ab"}
    library.set_tags("x", ["a", "b", "a"])
    library.set_tags("y", ["a"])
    library.delete_tag("a")
    assert [tag.id for tag in library.tags_of("x")] == ["b"]
    assert library.tags_of("y") == [] and "y" not in library.tagged


def test_a_collection_is_deleted_with_those_inside_it() -> None:
    library = Library()
    library.collections = {
        found.id: found for found in (group("a"), group("b", "a"), group("c", "b"), group("d"))
    }
    assert (library.height("a"), library.height("c")) == (3, 1)
    assert [found.id for found in library.above("c")] == ["c", "b", "a"]
    library.delete_collection("a")
    assert list(library.collections) == ["d"]


def test_the_oldest_mark_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.library.MAX_MARKED", 2)
    library, collection = Library(), group("a")
    library.collections["a"] = collection
    for asset in "xyz":
        library.favor(asset, is_favorite=True)
        library.put(collection, asset)
    assert list(library.favorites) == list(collection.assets) == ["y", "z"]
    assert (library.collections_with("x"), library.collections_with("z")) == ([], ["a"])
    library.favor("z", is_favorite=False)
    assert list(library.favorites) == ["y"]


def test_a_library_is_kept_only_once_it_has_something() -> None:
    libraries = Libraries()
    library = libraries.of("ana")
    assert libraries.of("ana") is not library
    libraries.keep("ana", library)
    assert libraries.of("ana") is library
    libraries.clear("bob")
    assert libraries.of("ana") is library
    libraries.clear()
    assert libraries.of("ana") is not library


def test_the_oldest_library_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.library.MAX_LIBRARIES", 1)
    libraries, first, second = Libraries(), Library(), Library()
    libraries.keep("ana", first)
    libraries.keep("ana", first)
    libraries.keep("bob", second)
    assert libraries.of("ana") is not first and libraries.of("bob") is second


def test_a_machine_is_ready_later() -> None:
    machine = Instance("i", "ana", "gpu_1x_h100_sxm5", None, 100.0)
    assert (machine.is_ready(100 + PROVISIONING_S - 1), machine.is_ready(100 + PROVISIONING_S)) == (
        False,
        True,
    )
    machines = Instances()
    assert machines.add(machine)
    machines.clear("bob")
    assert machines.of("ana") == [machine]
    machines.clear()
    assert machines.of("ana") == []


def test_a_replaced_value_takes_the_room_of_the_new_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.key_values.MAX_BYTES", 30)
    values, first, second = KeyValues(), Name("a", "d", "1"), Name("a", "d", "2")
    for _ in range(3):
        values.set(first, "12345678", 8, 10.0)
        values.set(second, "12345678", 8, 10.0)
    assert (values.get(first, 9.0), values.get(second, 10.0)) == ("12345678", None)


def test_clearing_creates_nothing() -> None:
    workspaces = Workspaces()
    workspaces.clear()
    workspaces.clear("ana")
    assert not {"key_values", "libraries", "instances"} & vars(workspaces).keys()
